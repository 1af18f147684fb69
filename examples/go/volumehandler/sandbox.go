package volumehandler

import "strings"

// Sandbox is what the host registers in its map for each life of a sandbox. It isn't changed afterwards.
type Sandbox struct {
	LifecycleID string
	// Volumes are the directories of the host that the sandbox may mount, by their names. A client
	// mounts one as "/name".
	Volumes map[string]string
}

// volumeName is the name of a volume in the path of a MOUNT request.
func volumeName(path string) string { return strings.Trim(path, "/") }
