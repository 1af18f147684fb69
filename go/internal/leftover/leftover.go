// Package leftover finds what tests leave behind in their process. It is for TestMain, after all tests.
package leftover

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// patience is how long something may take to go.
const patience = 30 * time.Second

// Find waits until nothing is left, and tells what still is after a while.
func Find() string {
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		found := strings.TrimSpace(Goroutines() + "\n" + ThreadsAbroad())
		if found == "" || time.Now().After(deadline) {
			return found
		}
	}
}

// Goroutines returns the stacks of all but the caller's and the runtime's own.
func Goroutines() string {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	_, others, _ := strings.Cut(strings.TrimSpace(string(stacks)), "\n\n") // the caller's comes first
	return others
}

// ThreadsAbroad names the threads whose mount namespace, root or working directory is not that of the
// process's first. Elsewhere than on Linux there are none.
func ThreadsAbroad() string {
	var abroad []string
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, what := range []string{"ns/mnt", "root", "cwd"} {
		home, err := os.Readlink("/proc/self/" + what)
		if err != nil && len(tasks) != 0 {
			abroad = append(abroad, err.Error())
		}
		for _, task := range tasks {
			dir := "/proc/self/task/" + task.Name()
			here, err := os.Readlink(dir + "/" + what)
			if err != nil || here == home { // a thread that has ended is nowhere
				continue
			}
			name, _ := os.ReadFile(dir + "/comm")
			abroad = append(abroad, fmt.Sprintf("thread %s (%s): %s is %s", task.Name(), strings.TrimSpace(string(name)), what, here))
		}
	}
	return strings.Join(abroad, "\n")
}
