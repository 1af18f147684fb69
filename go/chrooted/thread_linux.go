package chrooted

import "syscall"

func currentThread() int { return syscall.Gettid() }
