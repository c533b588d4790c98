// SPDX-License-Identifier: MPL-2.0

package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/reattach/reattach/test/bench/internal/wire"
)

// driver holds the subjects that are open.
type driver struct {
	subjects map[string]Subject
	open     map[string]*opened
}

// opened is a subject with its servers, and a session that calls go over.
type opened struct {
	subject Subject
	servers *Servers
	target  Target
	session Session
}

// drive answers requests until there are no more.
func drive(p Program, in io.Reader, out io.Writer) error {
	d := &driver{subjects: make(map[string]Subject), open: make(map[string]*opened)}
	for _, s := range p.Subjects {
		d.subjects[s.Name] = s
	}
	requests, replies := json.NewDecoder(in), json.NewEncoder(out)
	var err error
	for err == nil {
		var r wire.Request
		if err = requests.Decode(&r); err != nil {
			break
		}
		reply, failed := d.do(r)
		if failed != nil {
			reply.Error = failed.Error()
		}
		err = replies.Encode(reply)
	}
	for name := range d.open {
		err = errors.Join(err, d.close(name))
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (d *driver) do(r wire.Request) (wire.Reply, error) {
	switch r.Op {
	case wire.Open:
		return wire.Reply{}, d.begin(r.Subject)
	case wire.Close:
		return wire.Reply{}, d.close(r.Subject)
	case wire.Fleet, wire.Kill, wire.Idle, wire.Small:
		return d.alone(r)
	}
	if r.Op == wire.Memory && d.subjects[r.Subject].Memory != nil {
		return d.alone(r)
	}
	o := d.open[r.Subject]
	if o == nil {
		return wire.Reply{}, fmt.Errorf("subject %q is not open", r.Subject)
	}
	switch r.Op {
	case wire.Calls:
		rate, err := o.calls(r.Load)
		return wire.Reply{Calls: rate}, err
	case wire.Attach:
		times, err := o.attach(r.Count, r.Trips)
		return wire.Reply{Times: times}, err
	case wire.Memory:
		cost, err := o.memory(r.Count)
		return wire.Reply{Memory: cost}, err
	case wire.Stream:
		streams, err := o.stream(r.Load)
		return wire.Reply{Stream: streams}, err
	case wire.Cancel:
		left, err := o.cancel(r.Count, r.For)
		return wire.Reply{Cancel: left}, err
	}
	return wire.Reply{}, fmt.Errorf("operation %q is unknown", r.Op)
}

// begin opens a subject: its servers, and one session that has answered a call.
func (d *driver) begin(name string) error {
	s, known := d.subjects[name]
	if !known || s.Open == nil {
		return fmt.Errorf("subject %q is unknown", name)
	}
	if d.open[name] != nil {
		return fmt.Errorf("subject %q is open", name)
	}
	servers, err := newServers()
	if err != nil {
		return err
	}
	o := &opened{subject: s, servers: servers}
	if o.target, err = s.Open(servers); err == nil {
		if o.session, err = o.target.Attach(); err == nil {
			_, err = o.session.Greet("first")
		}
	}
	if err != nil {
		return errors.Join(err, o.close())
	}
	d.open[name] = o
	return nil
}

func (d *driver) close(name string) error {
	o := d.open[name]
	if o == nil {
		return nil
	}
	delete(d.open, name)
	return o.close()
}

func (o *opened) close() error {
	var err error
	if o.session != nil {
		err = o.session.Close()
	}
	if o.target != nil {
		err = errors.Join(err, o.target.Close())
	}
	return errors.Join(err, o.servers.close())
}

// alone does an operation that has servers of its own.
func (d *driver) alone(r wire.Request) (reply wire.Reply, err error) {
	s := d.subjects[r.Subject]
	servers, err := newServers()
	if err != nil {
		return reply, err
	}
	defer func() { err = errors.Join(err, servers.close()) }()
	switch {
	case r.Op == wire.Memory && s.Memory != nil:
		reply.Memory, err = s.Memory(servers, r.Count)
	case r.Op == wire.Fleet && s.Fleet != nil:
		reply.Fleet, err = s.Fleet(servers, r.Count)
	case r.Op == wire.Kill && s.Kill != nil:
		reply, err = s.Kill(servers, r.Count)
	case r.Op == wire.Idle && s.Idle != nil:
		reply.Idle, err = s.Idle(servers, r.Count, r.For)
	case r.Op == wire.Small && s.Remote != nil:
		var remote Remote
		if remote, err = s.Remote(servers); err == nil {
			reply.Small, err = remote.beside(r.Beside)
		}
	default:
		err = fmt.Errorf("subject %q has no operation %s", r.Subject, r.Op)
	}
	return reply, err
}
