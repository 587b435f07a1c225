package main

import (
	"os"
	"regexp"
	"runtime"
	"strings"
	"unsafe"
)

// secretArgs are the places of passwords in arguments: in a URL, and in a keyword string or query.
var secretArgs = regexp.MustCompile(`://[^/?#\s:@]*:(.*)@|(?i:password)\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&]*)`)

// hideArgs returns copies of the arguments and writes over the passwords in the originals, which are what the system's
// list of processes shows. It takes effect a moment after the start; PGPASSWORD or a password file are never shown at all.
func hideArgs() []string {
	args := make([]string, len(os.Args))
	for i, arg := range os.Args {
		args[i] = strings.Clone(arg)
	}
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		return args
	}
	for i, arg := range args {
		for _, m := range secretArgs.FindAllStringSubmatchIndex(arg, -1) {
			for g := 2; g < len(m); g += 2 {
				if m[g] < m[g+1] {
					// The runtime makes os.Args of the process's own argument area without copying, and that can be written to.
					copy(unsafe.Slice(unsafe.StringData(os.Args[i]), len(arg))[m[g]:m[g+1]], strings.Repeat("*", m[g+1]-m[g]))
				}
			}
		}
	}
	return args
}
