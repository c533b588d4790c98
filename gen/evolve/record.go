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
	Name string `json:"name"`
	// Request and Answer are its messages, by their full names and behind "stream " if there
	// are many, if the contract was read from a .proto file.
	Request    string  `json:"request,omitempty"`
	Answer     string  `json:"answer,omitempty"`
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
