// SPDX-License-Identifier: MPL-2.0

// Command greeter is a Go library with a C interface, for programs that know
// nothing of Go. Built with -buildmode=c-shared it carries a Go runtime of its
// own, which starts when the library is opened.
package main

// #include <stdlib.h>
import "C"

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

var greeted atomic.Int64

// Greet returns a greeting for name. The caller hands it to FreeGreeting.
//
//export Greet
func Greet(name *C.char) *C.char {
	greeted.Add(1)
	return C.CString("Hello " + C.GoString(name))
}

// Greeted returns how many greetings there were.
//
//export Greeted
func Greeted() C.long { return C.long(greeted.Load()) }

// FreeGreeting releases what Greet returned. C memory belongs to the allocator
// of the side that made it.
//
//export FreeGreeting
func FreeGreeting(greeting *C.char) { C.free(unsafe.Pointer(greeting)) }

// Run shows that goroutines run in here: they greet, and their number is
// returned.
//
//export Run
func Run(names C.int) C.int {
	greetings := make(chan string)
	for i := range int(names) {
		go func() { greetings <- fmt.Sprintf("Hello %d", i) }()
	}
	for range int(names) {
		<-greetings
		greeted.Add(1)
	}
	return names
}

// c-shared wants a package main, and never calls it.
func main() {}
