package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// store is where the sandboxes' volumes are: directories of the host.
type store struct{ directory string }

func volumeName(volume int) string { return fmt.Sprintf("volume-%d", volume) }

func (s *store) path(sandbox string, volume int) string {
	return filepath.Join(s.directory, sandbox, volumeName(volume))
}

// makeVolumes makes a small directory tree for every volume.
func makeVolumes(made func()) (*store, error) {
	directory, err := os.MkdirTemp("", "nsgate-demo.")
	if err != nil {
		return nil, err
	}
	s := &store{directory}
	for sandbox := 1; sandbox <= sandboxCount; sandbox++ {
		for volume := 1; volume <= volumesEach; volume++ {
			root := s.path(sandboxID(sandbox), volume)
			if err := fillVolume(root, sandboxID(sandbox)); err != nil {
				return nil, errors.Join(err, s.remove())
			}
			made()
		}
	}
	return s, nil
}

// fillVolume makes what a volume of a sandbox looks like: a system's directories, a project, links that
// lead around inside and links that would like to lead out.
func fillVolume(root, hostname string) error {
	files := map[string]string{
		"etc/hostname":                hostname + "\n",
		"etc/passwd":                  "root:x:0:0:root:/root:/bin/sh\n",
		"etc/os-release":              "NAME=sandbox\n",
		"var/log/boot.log":            "started\n",
		"home/user/.profile":          "export PATH=/usr/bin\n",
		"home/user/notes/today.txt":   "remember the milk\n",
		"usr/share/doc/README":        "Read me.\n",
		"usr/lib/sandbox/config.json": "{}\n",
	}
	for _, project := range []string{"alpha", "beta", "gamma"} {
		for i := range 2 {
			path := fmt.Sprintf("home/user/projects/%s/src/module%d/main.go", project, i)
			files[path] = "package main\n\nfunc main() {}\n"
		}
		files["home/user/projects/"+project+"/go.mod"] = "module " + project + "\n"
	}
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	for link, target := range map[string]string{
		"hostname":      "/etc/hostname",                      // absolute: from the volume's root
		"home/current":  "user/projects/alpha",                // relative
		"home/user/out": "../../../../../../../../etc/passwd", // ".." stops at the volume's root
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) remove() error { return os.RemoveAll(s.directory) }
