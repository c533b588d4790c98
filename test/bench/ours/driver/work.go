// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/reattach/reattach/test/bench/internal/greet"
)

// busyGreeter takes a while for each call, and does few at once: a plugin that is the
// bottleneck.
type busyGreeter struct {
	greet.Plain
	slots chan struct{}
}

const (
	busyFor   = time.Millisecond
	busySlots = 4
)

func newBusyGreeter() *busyGreeter { return &busyGreeter{slots: make(chan struct{}, busySlots)} }

// Greet implements greet.Greeter.
func (b *busyGreeter) Greet(name string) (string, error) {
	b.slots <- struct{}{}
	time.Sleep(busyFor)
	<-b.slots
	return greet.Answer(name), nil
}

// hold begins a name that asks to be held: the rest is a file that must not exist. The
// first server that makes it writes its process there, and never answers. So a call is
// held by one server, and by no other that it is repeated on.
const hold = "hold:"

type holder struct{ greet.Plain }

// Greet implements greet.Greeter.
func (*holder) Greet(name string) (string, error) {
	if path, ok := strings.CutPrefix(name, hold); ok {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			fmt.Fprintln(f, os.Getpid())
			select {}
		}
	}
	return greet.Answer(name), nil
}
