// SPDX-License-Identifier: MPL-2.0

// Package evolve keeps the record of a contract, contract.json, which is committed beside
// it: by which numbers its values travel, so that they stay, and what older peers expect.
package evolve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"

	"github.com/hashicorp/go-plugin/contract"

	"github.com/reattach/reattach/gen/model"
)

// File is the name of the record beside a contract's source.
const File = "contract.json"

// Record is a contract as it was when it was generated last.
type Record struct {
	// Contract is the name of its package on the wire, such as "calc.v1".
	Contract string `json:"contract"`
	Version  int    `json:"version"`
	// Proto is the .proto file that it was read from, if it was. Its methods take and give
	// the fields of its messages, which are numbered by hand.
	Proto string `json:"proto,omitempty"`
	// Handshake is the cookie, as KEY=value.
	Handshake string    `json:"handshake"`
	Services  []Service `json:"services"`
	Types     []Type    `json:"types,omitempty"`
	// Errors are those that survive the wire.
	Errors []string `json:"errors,omitempty"`
}

// Service is one interface. Kind is empty for one that is called back.
type Service struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind,omitempty"`
	Methods []Method `json:"methods"`
}

// Method is one method. Removed ones are not kept.
type Method struct {
	Name       string  `json:"name"`
	Params     []Value `json:"params,omitempty"`
	Results    []Value `json:"results,omitempty"`
	Idempotent bool    `json:"idempotent,omitempty"`
	Timeout    string  `json:"timeout,omitempty"`
	Repeats    *int    `json:"repeats,omitempty"`
}

// Type is a struct.
type Type struct {
	Name   string  `json:"name"`
	Fields []Value `json:"fields,omitempty"`
}

// Value is a parameter, a result or a field of a struct: what the source calls it, and how
// it travels.
type Value struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Wire   string `json:"wire"`
	Number int    `json:"number"`
	// Removed says that there was such a value; its number is not given to another one.
	Removed bool `json:"removed,omitempty"`
}

// Read reads a record; it is nil if there is no such file.
func Read(path string) (*Record, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	var r Record
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("%s is not a record of a contract: %w", path, err)
	}
	return &r, nil
}

// Bytes gives the record as its file has it: one line for each value.
func (r *Record) Bytes() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		panic(err) // it has texts and numbers only
	}
	return innermost.ReplaceAllFunc(b.Bytes(), func(object []byte) []byte {
		return lineBreaks.ReplaceAll(object, []byte(" "))
	})
}

var (
	innermost  = regexp.MustCompile(`\{[^{}]*\}`)
	lineBreaks = regexp.MustCompile(`\n +`)
)

// Number gives each value of a contract the number that it has in old, or else a new one,
// and returns the record of it. old may be nil, or of an older version: then numbers begin
// anew.
func Number(c *model.Contract, old *Record) *Record {
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
	fieldsOf := make(map[string][]*model.Field)
	for _, m := range c.Messages {
		fieldsOf[m.Name] = m.Fields
	}
	for _, s := range c.Services {
		was := find(old.Services, s.Name)
		one := Service{Name: s.Name, Kind: s.Kind, Methods: []Method{}}
		for _, m := range s.Methods {
			before := find(was.Methods, m.Name)
			params, results := m.Params, m.Results
			if c.Proto != "" {
				params, results = fieldsOf[m.Request], fieldsOf[m.Answer]
			}
			now := Method{Name: m.Name, Idempotent: m.Idempotent, Repeats: m.Repeats,
				Params: number(params, before.Params, band), Results: number(results, before.Results, band)}
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
		before := find(old.Types, m.Name)
		r.Types = append(r.Types, Type{m.Name, number(m.Fields, before.Fields, func(*model.Field) int { return 0 })})
	}
	for _, e := range c.Errors {
		r.Errors = append(r.Errors, e.Name)
	}
	return r
}

// band gives the number after which those of a parameter or result begin.
func band(f *model.Field) int {
	switch f.Type.Shape {
	case model.Seq, model.Chan: // it has no place in the first message
		return contract.NilableFrom
	}
	switch {
	case f.Optional:
		return contract.OptionalFrom
	case mayBeAbsent(f.Type):
		return contract.NilableFrom
	}
	return 0
}

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
func number(fields []*model.Field, old []Value, after func(*model.Field) int) []Value {
	var all []Value
	kept := make(map[int]bool)
	highest := make(map[int]int) // by band
	for _, v := range old {
		b := bandOf(v.Number)
		highest[b] = max(highest[b], v.Number)
	}
	for _, f := range fields {
		b := after(f)
		wire := f.Type.Wire()
		for _, v := range old {
			if f.Number == 0 && v.Name == f.Name && v.Wire == wire && bandOf(v.Number) == b && !v.Removed {
				f.Number = v.Number
			}
		}
		if f.Number == 0 {
			f.Number = max(highest[b], b) + 1
			if f.Number >= reservedFrom && f.Number <= reservedTo {
				f.Number = reservedTo + 1
			}
			highest[b] = f.Number
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
	return all
}

func bandOf(number int) int {
	switch {
	case number > contract.OptionalFrom:
		return contract.OptionalFrom
	case number > contract.NilableFrom:
		return contract.NilableFrom
	}
	return 0
}

type named interface{ name() string }

func (s Service) name() string { return s.Name }
func (m Method) name() string  { return m.Name }
func (t Type) name() string    { return t.Name }

// find gives the one of that name, or a zero one.
func find[T named](list []T, name string) (found T) {
	for _, one := range list {
		if one.name() == name {
			return one
		}
	}
	return found
}
