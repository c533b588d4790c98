// SPDX-License-Identifier: MPL-2.0

package evolve

import (
	"fmt"
	"strings"
)

// Verdict is what becomes of a call between two peers of which one knows the change and
// the other does not.
type Verdict string

// The verdicts.
const (
	// Works: the call does what it did.
	Works Verdict = "works"
	// Refused: the call fails, with an error that names what is missing or not known. It has
	// not run.
	Refused Verdict = "refused"
	// RefusedIfGiven: it is refused unless the value is nil or empty.
	RefusedIfGiven Verdict = "refused unless it is empty"
	// Unanswered: the call has run, and its answer is not accepted, since a result is missing.
	Unanswered Verdict = "answer not accepted"
	// Empty: the call runs with the value empty.
	Empty Verdict = "works, with the value empty"
	// NoMethod: the plugin says that it has no such method.
	NoMethod Verdict = "no such method"
)

// Change is one difference between two records.
type Change struct {
	// Method is the method that it is about; empty for an interface or a type.
	Method string
	// What is the change, as a sentence begins: "Greet lost parameter name".
	What string
	// OldHost is what happens between a host that does not know the change and a plugin that
	// does, NewHost the other way round.
	OldHost, NewHost Verdict
	// Breaking says that the change needs another version of the contract.
	Breaking bool
}

// String gives the change and what comes of it.
func (c Change) String() string {
	return fmt.Sprintf("%s (old host: %s; old plugin: %s)", c.What, c.OldHost, c.NewHost)
}

// Compare says what changed from old to now. They are of the same version.
func Compare(old, now *Record) []Change {
	var all []Change
	add := func(breaking bool, oldHost, newHost Verdict, format string, args ...any) {
		all = append(all, Change{"", fmt.Sprintf(format, args...), oldHost, newHost, breaking})
	}
	if old.Handshake != now.Handshake {
		add(true, Refused, Refused, "the handshake changed from %s to %s", old.Handshake, now.Handshake)
	}
	if old.Contract != now.Contract {
		add(true, NoMethod, NoMethod, "the name on the wire changed from %s to %s", old.Contract, now.Contract)
	}
	for _, s := range old.Services {
		after := find(now.Services, s.Name)
		if after.Name == "" {
			add(true, NoMethod, Works, "interface %s is gone", s.Name)
			continue
		}
		if s.Kind != after.Kind && s.Kind != "" {
			add(true, NoMethod, NoMethod, "%s is dispensed as %q, not as %q", s.Name, after.Kind, s.Kind)
		}
		all = append(all, methods(s, after, now.Proto != "")...)
	}
	for _, s := range now.Services {
		if find(old.Services, s.Name).Name == "" {
			add(false, Works, NoMethod, "interface %s is new", s.Name)
		}
	}
	for _, t := range old.Types {
		if after := find(now.Types, t.Name); after.Name != "" {
			all = append(all, fields(t.Name, t.Fields, after.Fields)...)
		}
	}
	for _, e := range old.Errors {
		if !strings.Contains(" "+strings.Join(now.Errors, " ")+" ", " "+e+" ") {
			add(true, Works, Works, "error %s is gone, of which older hosts get the text only", e)
		}
	}
	return all
}

func methods(old, now Service, messages bool) (all []Change) {
	for _, m := range old.Methods {
		after := find(now.Methods, m.Name)
		if after.Name == "" {
			all = append(all, Change{m.Name, "method " + m.Name + " is gone", NoMethod, Works, true})
			continue
		}
		switch {
		case m.Idempotent && !after.Idempotent:
			all = append(all, Change{m.Name, m.Name + " is not idempotent any more, and older hosts send it twice", Works, Works, true})
		case !m.Idempotent && after.Idempotent:
			all = append(all, Change{m.Name, m.Name + " is idempotent now", Works, Works, false})
		}
		if messages {
			all = append(all, carries(m.Name, "takes", m.Request, after.Request)...)
			all = append(all, carries(m.Name, "gives", m.Answer, after.Answer)...)
			continue // what else changes is their messages
		}
		all = append(all, values(m.Name, "parameter", m.Params, after.Params)...)
		all = append(all, values(m.Name, "result", m.Results, after.Results)...)
	}
	for _, m := range now.Methods {
		if find(old.Methods, m.Name).Name == "" {
			all = append(all, Change{m.Name, "method " + m.Name + " is new", Works, NoMethod, false})
		}
	}
	return all
}

// carries compares the messages of a method of a .proto file, by their names. A peer reads
// another message as if it were its own, as far as numbers and types are the same.
func carries(method, how, old, now string) []Change {
	if old == now || old == "" { // which an earlier record does not say
		return nil
	}
	verdict := Empty
	if strings.HasPrefix(old, "stream ") != strings.HasPrefix(now, "stream ") {
		verdict = Refused
	}
	return []Change{{method, fmt.Sprintf("%s %s %s, not %s", method, how, now, old), verdict, verdict, true}}
}

// values compares parameters or results of a method.
func values(method, sort string, old, now []Value) (all []Change) {
	was, is := live(old), live(now)
	for _, v := range old {
		switch after, ok := is[v.Name]; {
		case v.Removed || ok && after.Number == v.Number:
		case ok:
			gone, came := removed(sort, v), added(sort, after)
			all = append(all, Change{
				method, fmt.Sprintf("%s has %s %s as %s", method, sort, v.Name, instead(after, v)),
				Worse(gone.OldHost, came.OldHost), Worse(gone.NewHost, came.NewHost), true,
			})
		default:
			c := removed(sort, v)
			c.Method, c.What = method, fmt.Sprintf("%s lost %s %s", method, sort, v.Name)
			all = append(all, c)
		}
	}
	for _, v := range now {
		if _, ok := was[v.Name]; !ok && !v.Removed {
			c := added(sort, v)
			c.Method, c.What = method, fmt.Sprintf("%s has a new %s %s", method, sort, v.Name)
			all = append(all, c)
		}
	}
	return all
}

// instead says what a value is now, and what it was.
func instead(now, was Value) string {
	if now.Type == was.Type {
		return fmt.Sprintf("number %d, not %d", now.Number, was.Number)
	}
	return now.Type + ", not " + was.Type
}

func live(list []Value) map[string]Value {
	found := make(map[string]Value)
	for _, v := range list {
		if !v.Removed {
			found[v.Name] = v
		}
	}
	return found
}

// Worse gives the one of two verdicts that says less of a call to hope for.
func Worse(a, b Verdict) Verdict {
	for _, v := range []Verdict{NoMethod, Refused, Unanswered, RefusedIfGiven, Empty} {
		if a == v || b == v {
			return v
		}
	}
	return Works
}

// added says what comes of a parameter or a result that only the new side knows.
func added(sort string, v Value) Change {
	stream := strings.HasPrefix(v.Wire, "stream ")
	switch {
	case stream:
		return Change{OldHost: Refused, NewHost: Refused, Breaking: true}
	case sort == "parameter" && required.has(v.Number):
		return Change{OldHost: Refused, NewHost: Refused, Breaking: true}
	case sort == "parameter" && nilable.has(v.Number):
		return Change{OldHost: Empty, NewHost: RefusedIfGiven, Breaking: true}
	case sort == "result" && required.has(v.Number):
		return Change{OldHost: Works, NewHost: Unanswered, Breaking: true}
	case sort == "result" && nilable.has(v.Number):
		return Change{OldHost: Works, NewHost: Empty, Breaking: true}
	case sort == "parameter":
		return Change{OldHost: Empty, NewHost: Works}
	}
	return Change{OldHost: Works, NewHost: Empty}
}

// removed says the same of one that only the old side knows: the roles are the other way
// round.
func removed(sort string, v Value) Change {
	c := added(sort, v)
	c.OldHost, c.NewHost = c.NewHost, c.OldHost
	return c
}

// fields compares the fields of a struct. Peers that do not know a field leave it zero,
// and ignore it.
func fields(name string, old, now []Value) (all []Change) {
	was, is := live(old), live(now)
	for _, v := range old {
		switch after, ok := is[v.Name]; {
		case v.Removed || ok && after.Number == v.Number && after.Wire == v.Wire:
		case ok:
			all = append(all, Change{"", fmt.Sprintf("%s has field %s as %s", name, v.Name, instead(after, v)), Empty, Empty, true})
		default:
			all = append(all, Change{"", fmt.Sprintf("%s lost field %s", name, v.Name), Empty, Empty, true})
		}
	}
	for _, v := range now {
		if _, ok := was[v.Name]; !ok && !v.Removed {
			all = append(all, Change{"", fmt.Sprintf("%s has a new field %s", name, v.Name), Empty, Empty, false})
		}
	}
	return all
}
