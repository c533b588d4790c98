// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// exactNumber gives the number that a parameter without a type of its own gets for
// a JSON number: an int64 or uint64 for one without fraction and exponent, and
// otherwise the float64 that is nearest, as for a parameter of that type. An integer
// that none of them holds is an error, as it would arrive as another number.
func exactNumber(n json.Number) (any, error) {
	text := n.String()
	whole := !strings.ContainsAny(text, ".eE")
	if whole && text != "-0" {
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			return i, nil
		}
		if u, err := strconv.ParseUint(text, 10, 64); err == nil {
			return u, nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || whole && !holds(f, text) {
		return nil, fmt.Errorf("number %s fits neither int64, uint64 nor float64: give it as a string", clipped(text))
	}
	return f, nil
}

// holds reports whether f is the very integer that text writes.
func holds(f float64, text string) bool {
	if len(text) > len(strconv.FormatFloat(math.MaxFloat64, 'f', 0, 64))+1 {
		return false
	}
	i, ok := new(big.Int).SetString(text, 10)
	exact, accuracy := big.NewFloat(f).Int(nil)
	return ok && accuracy == big.Exact && i.Cmp(exact) == 0
}

func clipped(text string) string {
	if len(text) > 40 {
		return text[:40] + "…"
	}
	return text
}

// settle puts numbers of Go where decoding left a json.Number in an interface, in
// all that v holds. v can be set.
func settle(v reflect.Value) error {
	if v.Kind() != reflect.Interface && marshals(v.Type()) {
		return nil // it has read its JSON itself
	}
	switch v.Kind() {
	case reflect.Interface:
		return settleInterface(v)
	case reflect.Pointer:
		if !v.IsNil() {
			return settle(v.Elem())
		}
	case reflect.Struct:
		for f := range v.Type().Fields() {
			if f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct {
				if err := settle(v.FieldByIndex(f.Index)); err != nil {
					return err
				}
			}
		}
	case reflect.Slice, reflect.Array:
		if simple(v.Type().Elem()) {
			return nil
		}
		for i := range v.Len() {
			if err := settle(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		return settleMap(v)
	}
	return nil
}

func settleInterface(v reflect.Value) error {
	if n, ok := v.Interface().(json.Number); ok {
		number, err := exactNumber(n)
		if err == nil {
			v.Set(reflect.ValueOf(number))
		}
		return err
	}
	if v.IsNil() {
		return nil
	}
	// Decoding puts maps and slices here, which share what they hold.
	return settle(v.Elem())
}

func settleMap(v reflect.Value) error {
	if simple(v.Type().Elem()) {
		return nil
	}
	for key, element := range v.Seq2() {
		changed := reflect.New(v.Type().Elem()).Elem()
		changed.Set(element)
		if err := settle(changed); err != nil {
			return err
		}
		v.SetMapIndex(key, changed)
	}
	return nil
}

// simple reports whether values of t hold no others.
func simple(t reflect.Type) bool {
	return t.Kind() <= reflect.Complex128 || t.Kind() == reflect.String
}

// unambiguous refuses JSON that does not say one thing: text that is no UTF-8 and
// half a surrogate pair, which decoding replaces, and a member that is there twice,
// of which decoding takes the last.
func unambiguous(raw []byte) error {
	if !utf8.Valid(raw) {
		return errors.New("the JSON is not valid UTF-8")
	}
	if at := halfSurrogate(raw); at != "" {
		return fmt.Errorf("%s is half a character", at)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return uniqueMembers(d)
}

// halfSurrogate gives the first \uXXXX that needs another one and has none, or "".
func halfSurrogate(raw []byte) string {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		unit, ok := codeUnit(raw[i:])
		switch {
		case !ok:
			i++ // the character that is escaped
		case unit < 0xd800 || unit > 0xdfff:
			i += 5
		default:
			low, paired := codeUnit(raw[min(i+6, len(raw)):])
			if unit > 0xdbff || !paired || low < 0xdc00 || low > 0xdfff {
				return string(raw[i : i+6])
			}
			i += 11
		}
	}
	return ""
}

// codeUnit reads the \uXXXX that raw begins with.
func codeUnit(raw []byte) (uint64, bool) {
	if len(raw) < 6 || raw[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	return unit, err == nil && raw[0] == '\\'
}

// uniqueMembers reports the first member that an object has twice, in the next value of
// what d reads, which is valid JSON.
func uniqueMembers(d *json.Decoder) error {
	token, err := d.Token()
	open, ok := token.(json.Delim)
	if err != nil || !ok {
		return err
	}
	var seen map[string]bool
	if open == '{' {
		seen = make(map[string]bool)
	}
	for d.More() {
		if seen != nil {
			token, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := token.(string)
			if seen[name] {
				return fmt.Errorf("%q is given twice", clipped(name))
			}
			seen[name] = true
		}
		if err := uniqueMembers(d); err != nil {
			return err
		}
	}
	_, err = d.Token() // its end
	return err
}
