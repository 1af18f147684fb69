//go:build !linux

package nsgate

func (i *fileInfo) sys() any { return nil }
