// SPDX-License-Identifier: MPL-2.0

package hello

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// answerLine is the plugin's line: exactly one of the two is set.
type answerLine struct {
	Answer  *Answer  `json:"answer,omitempty"`
	Refusal *Refusal `json:"refusal,omitempty"`
}

// WriteRequest writes the host's line with one Write. It fails, before it
// writes anything, when the request exceeds a bound that the plugin would
// refuse it for.
func WriteRequest(w io.Writer, req *Request) error {
	filled := *req
	filled.Core = Core
	if refusal := filled.check(); refusal != nil {
		return fmt.Errorf("write hello: %w", refusal)
	}
	line, err := encode(&filled)
	if err != nil {
		return err
	}
	if len(line) > MaxRequest {
		return fmt.Errorf("write hello: the request has %d bytes, at most %d are allowed", len(line), MaxRequest)
	}
	return send(w, line)
}

// WriteAnswer writes the plugin's line with one Write. An answer that would exceed
// MaxAnswer goes without the types of its methods, else without its methods, else
// without its kinds, and is marked Partial: a plugin with a very large interface must
// still be reachable.
func WriteAnswer(w io.Writer, a *Answer) error {
	filled := *a
	filled.Core = Core
	filled.dropLongTypes()
	kinds := filled.Kinds
	if err := filled.check(); err != nil {
		return fmt.Errorf("write hello: %w", err)
	}
	for _, shorten := range []func(){
		func() {},
		func() { filled.Kinds, filled.Partial = withoutTypes(kinds), true },
		func() { filled.Kinds = withoutMethods(kinds) },
		func() { filled.Kinds = nil },
	} {
		shorten()
		line, err := encode(&answerLine{Answer: &filled})
		if err != nil {
			return err
		}
		if len(line) <= MaxAnswer {
			return send(w, line)
		}
	}
	return fmt.Errorf("write hello: the answer exceeds %d bytes even without its kinds", MaxAnswer)
}

// WriteRefusal writes the plugin's line with one Write. The caller closes the
// connection, and does well to close only the writing side first: unread input
// at a full close resets the connection, and the line may never arrive.
func WriteRefusal(w io.Writer, r *Refusal) error {
	shown := *r
	shown.Protocols = append([]string(nil), r.Protocols...)
	shown.clean()
	line, err := encode(&answerLine{Refusal: &shown})
	if err != nil {
		return err
	}
	return send(w, line)
}

// dropLongTypes empties the type names that exceed the bound of a text, in a
// copy of the kinds. A method's type is written by a compiler, not by a person,
// and may have any length.
func (a *Answer) dropLongTypes() {
	a.Kinds = slices.Clone(a.Kinds)
	for i, k := range a.Kinds {
		methods := slices.Clone(k.Methods)
		for j := range methods {
			for _, name := range []*string{&methods[j].Args, &methods[j].Reply} {
				if len(*name) > maxText {
					*name, a.Partial = "", true
				}
			}
		}
		a.Kinds[i].Methods = methods
	}
}

func withoutTypes(kinds []Kind) []Kind {
	short := withoutMethods(kinds)
	for i, k := range kinds {
		for _, m := range k.Methods {
			short[i].Methods = append(short[i].Methods, Method{Name: m.Name})
		}
	}
	return short
}

func withoutMethods(kinds []Kind) []Kind {
	short := make([]Kind, len(kinds))
	for i, k := range kinds {
		short[i].Name = k.Name
	}
	return short
}

// encode returns the whole line. The encoder ends it with the newline.
func encode(v any) ([]byte, error) {
	var line bytes.Buffer
	line.WriteString(Prefix + strconv.Itoa(Core) + " ")
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false) // types such as <-chan stay readable
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("write hello: %w", err)
	}
	return line.Bytes(), nil
}

func send(w io.Writer, line []byte) error {
	if _, err := w.Write(line); err != nil {
		return fmt.Errorf("write hello: %w", err)
	}
	return nil
}
