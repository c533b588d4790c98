// SPDX-License-Identifier: MPL-2.0

package evolve

import (
	"fmt"

	"github.com/hashicorp/go-plugin/contract"

	"github.com/reattach/reattach/gen/model"
)

// Number gives each value of a contract the number that it has in old, or else a new one,
// and returns the record of it. old may be nil, or of an older version: then numbers begin
// anew. Its error names the method that has had more values than there are numbers.
func Number(c *model.Contract, old *Record) (*Record, error) {
	if old == nil || old.Version != c.Version {
		old = &Record{}
	}
	r := &Record{
		Contract: fmt.Sprintf("%s.v%d", c.Wire, c.Version), Version: c.Version, Proto: c.Proto,
		Handshake: c.CookieKey + "=" + c.CookieValue,
	}
	if c.ProtoPackage != "" {
		r.Contract = c.ProtoPackage
	}
	for _, s := range c.Services {
		was := find(old.Services, s.Name)
		one := Service{Name: s.Name, Kind: s.Kind, Methods: []Method{}}
		for _, m := range s.Methods {
			before := find(was.Methods, m.Name)
			params, results := m.Params, m.Results
			now := Method{Name: m.Name, Idempotent: m.Idempotent, Repeats: m.Repeats}
			if c.Proto != "" {
				params, results = m.Request.Fields, m.Answer.Fields
				now.Request, now.Answer = carried(m.Params, m.Request), carried(m.Results, m.Answer)
			}
			var err error
			if now.Params, err = number(params, before.Params, inCalls); err != nil {
				return nil, fmt.Errorf("%s: %s: parameters: %w", m.Pos, m.Name, err)
			}
			if now.Results, err = number(results, before.Results, inCalls); err != nil {
				return nil, fmt.Errorf("%s: %s: results: %w", m.Pos, m.Name, err)
			}
			if m.Timeout > 0 {
				now.Timeout = m.Timeout.String()
			}
			one.Methods = append(one.Methods, now)
		}
		r.Services = append(r.Services, one)
	}
	for _, m := range c.Messages {
		if m.Items {
			m.Fields[0].Number = 1
			continue
		}
		fields, err := number(m.Fields, find(old.Types, m.Name).Fields, inTypes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		r.Types = append(r.Types, Type{m.Name, fields})
	}
	for _, e := range c.Errors {
		r.Errors = append(r.Errors, e.Name)
	}
	return r, nil
}

// carried names the message of a method of a .proto file.
func carried(values []*model.Field, m *model.Message) string {
	if len(values) == 1 && values[0].Type.Shape == model.Seq {
		return "stream " + m.Foreign
	}
	return m.Foreign
}

// highest is the last number that protocol buffers have.
const highest = 1<<29 - 1

// band is a range of numbers that say the same of what they stand for.
type band struct{ after, last int }

// bands are those that the values of a message have, in order, and which of them a new value
// is in.
type bands struct {
	all []band
	of  func(*model.Field) band
}

// inCalls are the bands of parameters and results, inTypes the only one of fields. A request has
// one number of its own behind those that must be there: that of its stream.
var (
	required = band{0, model.StreamNumber - 1}
	nilable  = band{contract.NilableFrom, contract.OptionalFrom - 1}
	optional = band{contract.OptionalFrom, highest}
	whole    = band{0, highest}

	inCalls = bands{[]band{required, nilable, optional}, bandOfCall}
	inTypes = bands{[]band{whole}, func(*model.Field) band { return whole }}
)

func bandOfCall(f *model.Field) band {
	switch f.Type.Shape {
	case model.Seq, model.Chan: // it has no place in the first message
		return nilable
	}
	switch {
	case f.Optional:
		return optional
	case mayBeAbsent(f.Type):
		return nilable
	}
	return required
}

func (b band) has(number int) bool { return number > b.after && number <= b.last }

// mayBeAbsent says that a message cannot tell a value that was left out from nil.
func mayBeAbsent(t *model.Type) bool {
	switch t.Shape {
	case model.Pointer, model.List, model.Map, model.Callback:
		return true
	case model.Array:
		return !t.Elem.IsByte()
	}
	return false
}

// reserved are the numbers of fields that protocol buffers keep for themselves.
const reservedFrom, reservedTo = 19000, 19999

// number sets the numbers of fields, and returns the record of them and of those that
// there were before.
func number(fields []*model.Field, old []Value, in bands) ([]Value, error) {
	var all []Value
	kept := make(map[int]bool)
	last := make(map[band]int)
	for _, b := range in.all {
		last[b] = b.after
		for _, v := range old {
			if b.has(v.Number) {
				last[b] = max(last[b], v.Number)
			}
		}
	}
	for _, f := range fields {
		b, wire := in.of(f), f.Type.Wire()
		for _, v := range old {
			if f.Number == 0 && v.Name == f.Name && v.Wire == wire && b.has(v.Number) && !v.Removed {
				f.Number = v.Number
			}
		}
		if f.Number == 0 {
			f.Number = last[b] + 1
			if f.Number >= reservedFrom && f.Number <= reservedTo {
				f.Number = reservedTo + 1
			}
			if f.Number > b.last {
				return nil, fmt.Errorf("%s would be number %d, and its sort has %d at most, with those that are gone: put them into a struct, or begin another version",
					f.Name, f.Number, b.last)
			}
			last[b] = f.Number
		}
		kept[f.Number] = true
		all = append(all, Value{Name: f.Name, Type: f.Type.Source(), Wire: wire, Number: f.Number})
	}
	for _, v := range old {
		if !kept[v.Number] {
			v.Removed = true
			all = append(all, v)
		}
	}
	return all, nil
}
