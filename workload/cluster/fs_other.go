//go:build !linux

package cluster

func memoryFS(string) string { return "" }
