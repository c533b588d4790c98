// SPDX-License-Identifier: MPL-2.0

package peer

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/internal/wire"
)

// Roles of a program, its first argument.
const (
	roleDrive = "drive"
	roleServe = "serve"
)

// Program is what a peer is made of.
type Program struct {
	Subjects []Subject
	// Serve serves until the process ends. args are those that a subject gave.
	Serve func(args []string) error
}

// Subject is one thing to measure.
type Subject struct {
	Name string
	// Batch is how many calls are timed together; 0 means one.
	Batch int
	// Open starts what the subject needs.
	Open func(*Servers) (Target, error)
	// Memory, Fleet and Kill answer the operations of package wire, for n
	// endpoints or kills, on servers of their own. Memory may be nil: then
	// sessions of the Target are held.
	Memory func(s *Servers, n int) (wire.Cost, error)
	Fleet  func(s *Servers, n int) (wire.Effort, error)
	Kill   func(s *Servers, n int) (wire.Reply, error)
	// Idle answers for n endpoints that nobody calls for a while.
	Idle func(s *Servers, n int, while time.Duration) (wire.Rest, error)
	// Remote starts what small calls beside large ones go to.
	Remote func(*Servers) (Remote, error)
}

// Target is a subject that is open.
type Target interface {
	// Attach makes a new session, as a host does when it begins.
	Attach() (Session, error)
	// Close ends what is neither a session nor a server.
	Close() error
}

// Session is one attachment, from which calls can be made by many goroutines.
type Session interface {
	greet.Greeter
	Close() error
}

// heapSize is how much every program holds, as hosts and plugins hold something.
// One with an empty heap collects garbage whenever it has made 2 MB of it: with
// many callers that is a quarter of its processor time, and some 100 KB that one
// library holds more than another, of descriptors say, become some per cent.
const heapSize = 16 << 20

// Main is the main function of the program.
func (p Program) Main() {
	heap := make([]byte, heapSize) // never written: address space, and no memory
	err := p.run(os.Args[1:])
	runtime.KeepAlive(heap)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
		os.Exit(1)
	}
}

func (p Program) run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("say %s or %s", roleDrive, roleServe)
	}
	switch args[0] {
	case roleDrive:
		return drive(p, os.Stdin, os.Stdout)
	case roleServe:
		if err := obey(os.Getenv(controlEnv)); err != nil {
			return err
		}
		return p.Serve(args[1:])
	}
	return fmt.Errorf("%q is no role: say %s or %s", args[0], roleDrive, roleServe)
}

// AttachFunc is a Target that needs nothing but its servers.
type AttachFunc func() (Session, error)

// Attach implements Target.
func (f AttachFunc) Attach() (Session, error) { return f() }

// Close implements Target.
func (AttachFunc) Close() error { return nil }

// NewSession makes a Session of a greeter and what ends it.
func NewSession(g greet.Greeter, end func() error) Session { return &session{g, end} }

type session struct {
	greet.Greeter
	end func() error
}

func (s *session) Close() error { return s.end() }
