// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"bytes"
	"encoding/gob"
	"math"
	"math/bits"
	"net/rpc"
	"strings"
	"testing"
)

// What is here writes gob by hand (package gob, "Encoding Details"): honest encoders do
// not describe types that nobody uses, or give wrong lengths.

// gobUint is one byte below 128, else the negated number of its bytes and these.
func gobUint(n uint64) string {
	if n < 128 {
		return string([]byte{byte(n)})
	}
	var raw []byte
	for left := (bits.Len64(n) + 7) / 8; left > 0; left-- {
		raw = append(raw, byte(n>>(8*(left-1))))
	}
	return string([]byte{byte(-len(raw))}) + string(raw)
}

func gobInt(n int64) string { return gobUint(uint64(n<<1) ^ uint64(n>>63)) }

func gobText(s string) string { return gobUint(uint64(len(s))) + s }

// gobMessage is a length and as many bytes.
func gobMessage(s string) string { return gobText(s) }

// Ids of types: the built-in ones, and the first that a peer may describe.
const (
	gobString    = 6
	gobInterface = 8
	firstOwn     = 65
)

// The fields of a wireType, each of which describes a type of one kind.
func gobSlice(id, elem int64) string {
	return gobMessage(gobInt(-id) + "\x02" + "\x01\x02" + gobInt(id) + "\x00" + "\x01" + gobInt(elem) + "\x00\x00")
}

func gobMap(id, key, elem int64) string {
	return gobMessage(gobInt(-id) + "\x04" + "\x01\x02" + gobInt(id) + "\x00" + "\x01" + gobInt(key) + "\x01" + gobInt(elem) + "\x00\x00")
}

// argsType describes what the methods of a greeter take: map[string]interface{}.
var argsType = gobMap(firstOwn, gobString, gobInterface)

// gobArgs is a value of it, after the description.
func gobArgs(count uint64, entries string) string {
	return argsType + gobMessage(gobInt(firstOwn)+"\x00"+gobUint(count)+entries)
}

// manyTypes describes n types, each a slice of the one before.
func manyTypes(n int64) string {
	var b strings.Builder
	elem := int64(gobString)
	for id := int64(firstOwn + 1); id <= firstOwn+n; id++ {
		b.WriteString(gobSlice(id, elem))
		elem = id
	}
	return b.String()
}

// gobBombs are arguments of a method.
func gobBombs() map[string]string {
	aName := gobText("name") + gobText("string") + gobInt(gobString)
	return map[string]string{
		"a map of 2^31 entries":          gobArgs(1<<31, ""),
		"a map of 2^40 entries":          gobArgs(1<<40, ""),
		"a map of 2^28 entries, one has": gobArgs(1<<28, aName+gobUint(5)+"\x00"+gobText("Ada")),
		"a message of 2^62 bytes":        argsType + gobUint(1<<62) + "x",
		"a message of 2^33 bytes":        argsType + gobUint(1<<33) + "x",
		"a key of 2^31 bytes":            gobArgs(1, gobUint(1<<31)+"x"),
		"a type's name of 2^31 bytes":    gobArgs(1, gobText("name")+gobUint(1<<31)+"x"),
		"a text of 2^31 bytes":           gobArgs(1, aName+gobUint(5)+"\x00"+gobUint(1<<31)+"x"),
		"a value of 2^62 bytes":          gobArgs(1, aName+gobUint(1<<62)+"x"),
		"200,000 types":                  manyTypes(200_000) + gobArgs(0, ""),
		"a type 200,000 slices deep":     manyTypes(200_000) + gobMessage(gobInt(firstOwn+200_000)+"\x00\x01\x01\x01"),
		"a slice of itself":              gobSlice(firstOwn, firstOwn) + gobMessage(gobInt(firstOwn)+"\x00"+gobUint(1<<31)),
		"a map of itself":                gobMap(firstOwn, firstOwn, firstOwn) + gobMessage(gobInt(firstOwn)+"\x00"+gobUint(1<<31)),
		"a type that is not described":   gobMessage(gobInt(math.MaxInt32) + "\x00\x01"),
		"a type that is described twice": argsType + argsType + gobArgs(0, ""),
	}
}

// gobHeader is that of a request, as net/rpc sends it.
func gobHeader(t *testing.T, method string) string {
	t.Helper()
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(rpc.Request{ServiceMethod: method, Seq: 1}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// deepHeader is a request's header that has a field more than it should, of a type that
// is deep slices of each other.
func deepHeader(deep int64) string {
	last := int64(firstOwn + deep)
	field := "\x01" + gobText("X") + "\x01" + gobInt(last) + "\x00"
	header := gobMessage(gobInt(-(last + 1)) + "\x03" + "\x01\x02" + gobInt(last+1) + "\x00" + "\x01\x01" + field + "\x00\x00")
	return manyTypes(deep) + header + gobMessage(gobInt(last+1)+"\x01"+strings.Repeat("\x01", int(deep))+"\x00")
}
