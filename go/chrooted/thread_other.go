//go:build !linux

package chrooted

func currentThread() int { return 0 }
