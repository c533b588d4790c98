// SPDX-License-Identifier: MPL-2.0

package contracttest

import (
	"encoding"
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// values makes random values of any type that can travel.
type values struct {
	*rand.Rand
	trial *trial
	whole bool // streams do not break off
}

// maxDepth bounds values of types that contain themselves.
const maxDepth = 4

// of makes a value of a type.
func (v values) of(t reflect.Type, depth int) reflect.Value {
	made := reflect.New(t).Elem()
	if special := v.special(t); special != nil {
		made.Set(reflect.ValueOf(special).Convert(t))
		return made
	}
	switch t.Kind() {
	case reflect.Bool:
		made.SetBool(v.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		made.SetInt(v.integer(t.Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		made.SetUint(uint64(v.integer(64)) >> (64 - t.Bits()))
	case reflect.Float32, reflect.Float64:
		made.SetFloat(v.float(t.Bits()))
	case reflect.String:
		made.SetString(v.text())
	case reflect.Pointer:
		if depth < maxDepth && v.IntN(3) > 0 || depth == 0 {
			made.Set(reflect.New(t.Elem()))
			made.Elem().Set(v.of(t.Elem(), depth+1))
		}
	case reflect.Slice:
		if n := v.length(depth); n > 0 {
			made.Set(reflect.MakeSlice(t, n, n))
			v.fill(made, depth)
		}
	case reflect.Array:
		v.fill(made, depth)
	case reflect.Map:
		made.Set(reflect.MakeMap(t))
		for range v.length(depth) {
			made.SetMapIndex(v.of(t.Key(), depth+1), v.element(t.Elem(), depth))
		}
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && f.Tag.Get("reattach") != "-" {
				made.Field(i).Set(v.of(f.Type, depth+1))
			}
		}
	}
	return made
}

func (v values) fill(list reflect.Value, depth int) {
	for i := range list.Len() {
		list.Index(i).Set(v.element(list.Type().Elem(), depth))
	}
}

// element makes an element of a list or a map, which is not nil.
func (v values) element(t reflect.Type, depth int) reflect.Value {
	made := v.of(t, depth+1)
	if t.Kind() == reflect.Pointer && made.IsNil() {
		made.Set(reflect.New(t.Elem()))
	}
	return made
}

func (v values) length(depth int) int {
	if depth >= maxDepth {
		return 0
	}
	return v.IntN(4)
}

// integer makes a number of so many bits; every third is one of the ends.
func (v values) integer(bits int) int64 {
	switch v.IntN(6) {
	case 0:
		return math.MaxInt64 >> (64 - bits)
	case 1:
		return math.MinInt64 >> (64 - bits)
	case 2:
		return 0
	}
	return int64(v.Uint64()) >> (64 - bits) >> v.IntN(bits)
}

func (v values) float(bits int) float64 {
	f := [...]float64{0, math.Inf(1), math.Inf(-1), math.NaN(), v.NormFloat64(), v.NormFloat64() * 1e30}[v.IntN(6)]
	if bits == 32 {
		return float64(float32(f))
	}
	return f
}

func (v values) text() string {
	return [...]string{"", "a", "Ada", "王小明", "\x00", "{\"a\": 1}", strings.Repeat("long ", 40), "\n\t"}[v.IntN(8)]
}

// special makes a value of a type whose fields are its own affair; nil if it is none.
func (v values) special(t reflect.Type) any {
	switch t {
	case reflect.TypeFor[time.Time]():
		return time.Unix(v.Int64N(200_000_000_000)-50_000_000_000, v.Int64N(1_000_000_000)).UTC()
	case reflect.TypeFor[*timestamppb.Timestamp]():
		return timestamppb.New(time.Unix(v.Int64N(1_000_000_000), 0))
	case reflect.TypeFor[netip.Addr]():
		return netip.AddrFrom4([4]byte{10, byte(v.IntN(256)), 0, 1})
	case reflect.TypeFor[netip.AddrPort]():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(v.IntN(256)), 1}), uint16(v.IntN(65536)))
	case reflect.TypeFor[netip.Prefix]():
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(v.IntN(256)), 0, 0}), v.IntN(33))
	case reflect.TypeFor[url.URL]():
		return url.URL{Scheme: "https", Host: "example.com", Path: "/" + strings.Repeat("a", v.IntN(4))}
	case reflect.TypeFor[big.Int]():
		return *new(big.Int).Exp(big.NewInt(v.Int64()), big.NewInt(3), nil)
	}
	return nil
}

// same compares two values as a contract promises them to arrive: nothing and none of a list
// are the same, and so are times of one instant.
func same(a, b reflect.Value) bool {
	if a.Type() != b.Type() {
		return false
	}
	if m, ok := a.Interface().(proto.Message); ok {
		return proto.Equal(m, b.Interface().(proto.Message))
	}
	if t, ok := a.Interface().(time.Time); ok {
		return t.Equal(b.Interface().(time.Time))
	}
	switch a.Kind() {
	case reflect.Pointer:
		return a.IsNil() == b.IsNil() && (a.IsNil() || same(a.Elem(), b.Elem()))
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		return sameMap(a, b)
	case reflect.Float32, reflect.Float64:
		return a.Float() == b.Float() || a.Float() != a.Float() && b.Float() != b.Float()
	case reflect.Struct:
		return sameStruct(a, b)
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func sameMap(a, b reflect.Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	for _, key := range a.MapKeys() {
		if other := b.MapIndex(key); !other.IsValid() || !same(a.MapIndex(key), other) {
			return false
		}
	}
	return true
}

func sameStruct(a, b reflect.Value) bool {
	if !exported(a.Type()) {
		text, ok := written(a)
		other, _ := written(b)
		return ok && text == other || !ok && reflect.DeepEqual(a.Interface(), b.Interface())
	}
	for i := range a.NumField() {
		if a.Type().Field(i).Tag.Get("reattach") != "-" && !same(a.Field(i), b.Field(i)) {
			return false
		}
	}
	return true
}

// written gives a value as it says itself that it is written.
func written(v reflect.Value) (string, bool) {
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	m, ok := p.Interface().(encoding.TextMarshaler)
	if !ok {
		return "", false
	}
	raw, err := m.MarshalText()
	return string(raw), err == nil
}
