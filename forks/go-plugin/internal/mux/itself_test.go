// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"reflect"
	"strings"
	"testing"
)

// ownEncoding has a field that only its own method may look at.
type ownEncoding struct{ Text string }

func (ownEncoding) GobEncode() ([]byte, error) { return nil, nil }

type ownDecoding []byte

func (*ownDecoding) GobDecode([]byte) error { return nil }

// TestTypesOfTheirOwn holds that nothing looks into values whose type encodes or decodes
// them itself.
func TestTypesOfTheirOwn(t *testing.T) {
	if text := strings.Repeat("x", 1<<20); looksLong(ownEncoding{text}) || looksLong(&ownEncoding{text}) || !looksLong(struct{ Text string }{text}) {
		t.Error("what is in a value that encodes itself was looked at, or what is in another one was not")
	}
	if !decodesItself(reflect.TypeFor[ownDecoding]()) || decodesItself(reflect.TypeFor[[]byte]()) {
		t.Error("a type that decodes itself is not told from one that does not")
	}
}
