// SPDX-License-Identifier: MPL-2.0

package contract

import (
	"encoding"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Conv converts values of Go into messages, or messages into values, and remembers the
// first one that does not fit. The zero Conv is ready.
type Conv struct {
	err   error
	depth int
}

// maxDepth is how deep values may be nested: a value that contains itself would end the
// process.
const maxDepth = 1000

// Err is what did not fit, or nil.
func (c *Conv) Err() error { return c.err }

// Fail remembers that something does not fit.
func (c *Conv) Fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// Enter begins a value of a type that may contain itself. It reports false, and fails, if
// that is nested too deep. Leave ends it.
func (c *Conv) Enter() bool {
	c.depth++
	if c.depth > maxDepth {
		c.Fail("values are nested more than %d deep", maxDepth)
		return false
	}
	return true
}

// Leave ends what Enter began.
func (c *Conv) Leave() { c.depth-- }

type integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// Integer converts between integer types.
func Integer[To, From integer](c *Conv, v From) To {
	to := To(v)
	if From(to) != v || (to < 0) != (v < 0) {
		c.Fail("%d does not fit %T", v, to)
	}
	return to
}

// Float converts between types of floating point.
func Float[To, From ~float32 | ~float64](_ *Conv, v From) To { return To(v) }

// Text converts between types of texts.
func Text[To, From ~string](_ *Conv, v From) To { return To(v) }

// Bool converts between types of truth values.
func Bool[To, From ~bool](_ *Conv, v From) To { return To(v) }

// Bytes converts between types of bytes.
func Bytes[To, From ~[]byte](_ *Conv, v From) To { return To(v) }

// Given is a pointer to v: an argument that is there, be it zero.
func Given[T any](v T) *T { return &v }

// GivenBytes is bytes that are there, be there none.
func GivenBytes(v []byte) []byte {
	if v == nil {
		return []byte{}
	}
	return v
}

// Pointer converts what a pointer points to; nil stays nil.
func Pointer[From, To any](c *Conv, v *From, convert func(*Conv, From) To) *To {
	if v == nil {
		return nil
	}
	to := convert(c, *v)
	return &to
}

// Message converts the value of a pointer to a message; nil stays nil.
func Message[From, To any](c *Conv, v *From, convert func(*Conv, From) *To) *To {
	if v == nil {
		return nil
	}
	return convert(c, *v)
}

// Value converts a message to a pointer to a value; nil stays nil.
func Value[From, To any](c *Conv, m *From, convert func(*Conv, *From) To) *To {
	if m == nil {
		return nil
	}
	to := convert(c, m)
	return &to
}

// Elem is Message for elements of lists and maps, where nil has no place.
func Elem[From, To any](convert func(*Conv, From) *To) func(*Conv, *From) *To {
	return func(c *Conv, v *From) *To {
		if v == nil {
			c.Fail("a list or map of *%T holds nil, which cannot travel", *new(From))
			return new(To)
		}
		return convert(c, *v)
	}
}

// Point is Value for elements of lists and maps.
func Point[From, To any](convert func(*Conv, *From) To) func(*Conv, *From) *To {
	return func(c *Conv, m *From) *To {
		to := convert(c, m)
		return &to
	}
}

// List converts each element. An empty list is nil.
func List[S ~[]From, From, To any](c *Conv, list S, convert func(*Conv, From) To) []To {
	if len(list) == 0 {
		return nil
	}
	to := make([]To, len(list))
	for i, v := range list {
		to[i] = convert(c, v)
	}
	return to
}

// Fill converts each element into an array, whose length must be the list's.
func Fill[From, To any](c *Conv, array []To, list []From, convert func(*Conv, From) To) {
	switch len(list) {
	case len(array):
		for i, v := range list {
			array[i] = convert(c, v)
		}
	case 0: // nobody set it
	default:
		c.Fail("%d elements do not fit an array of %d", len(list), len(array))
	}
}

// Same is a value that needs no conversion.
func Same[T any](_ *Conv, v T) T { return v }

// Map converts each key and each value. An empty map is nil.
func Map[M ~map[K]V, K, K2 comparable, V, V2 any](c *Conv, m M, key func(*Conv, K) K2, value func(*Conv, V) V2) map[K2]V2 {
	if len(m) == 0 {
		return nil
	}
	to := make(map[K2]V2, len(m))
	for k, v := range m {
		to[key(c, k)] = value(c, v)
	}
	return to
}

// FromTime converts a time. Its location and its monotonic clock stay behind.
func FromTime(c *Conv, t time.Time) *timestamppb.Timestamp {
	m := timestamppb.New(t)
	if err := m.CheckValid(); err != nil {
		c.Fail("time %v: %w", t, err)
	}
	return m
}

// ToTime gives the time, in UTC. Nil is the zero time.
func ToTime(c *Conv, m *timestamppb.Timestamp) time.Time {
	if m == nil {
		return time.Time{}
	}
	if err := m.CheckValid(); err != nil {
		c.Fail("%w", err)
	}
	return m.AsTime()
}

// FromDuration converts a duration.
func FromDuration[D ~int64](_ *Conv, d D) *durationpb.Duration {
	return durationpb.New(time.Duration(d))
}

// ToDuration gives the duration. Nil is zero.
func ToDuration[D ~int64](c *Conv, m *durationpb.Duration) D {
	if m == nil {
		return 0
	}
	d := m.AsDuration()
	if err := m.CheckValid(); err != nil {
		c.Fail("%w", err)
	} else if back := durationpb.New(d); back.GetSeconds() != m.GetSeconds() || back.GetNanos() != m.GetNanos() {
		c.Fail("%d s do not fit time.Duration", m.GetSeconds())
	}
	return D(d)
}

// FromBinary converts a value that says itself which bytes it is.
func FromBinary[T any, P interface {
	*T
	encoding.BinaryMarshaler
}](c *Conv, v T) []byte {
	raw, err := P(&v).MarshalBinary()
	if err != nil {
		c.Fail("%T: %w", v, err)
	}
	return raw
}

// ToBinary gives the value; no bytes are the zero value.
func ToBinary[T any, P interface {
	*T
	encoding.BinaryUnmarshaler
}](c *Conv, raw []byte) (v T) {
	if len(raw) > 0 {
		if err := P(&v).UnmarshalBinary(raw); err != nil {
			c.Fail("%T: %w", v, err)
		}
	}
	return v
}

// FromBinaryPointer is FromBinary for a pointer; nil stays nil.
func FromBinaryPointer[T any, P interface {
	*T
	encoding.BinaryMarshaler
}](c *Conv, v *T) []byte {
	if v == nil {
		return nil
	}
	return GivenBytes(FromBinary[T, P](c, *v))
}

// ToBinaryPointer undoes FromBinaryPointer.
func ToBinaryPointer[T any, P interface {
	*T
	encoding.BinaryUnmarshaler
}](c *Conv, raw []byte) *T {
	if raw == nil {
		return nil
	}
	v := ToBinary[T, P](c, raw)
	return &v
}

// FromText converts a value that says itself which text it is.
func FromText[T any, P interface {
	*T
	encoding.TextMarshaler
}](c *Conv, v T) string {
	raw, err := P(&v).MarshalText()
	if err != nil {
		c.Fail("%T: %w", v, err)
	}
	return string(raw)
}

// ToText gives the value; no text is the zero value.
func ToText[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](c *Conv, text string) (v T) {
	if text != "" {
		if err := P(&v).UnmarshalText([]byte(text)); err != nil {
			c.Fail("%T: %w", v, err)
		}
	}
	return v
}
