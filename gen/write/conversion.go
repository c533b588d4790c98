// SPDX-License-Identifier: MPL-2.0

package write

import (
	"fmt"
	"go/types"
	"strings"

	"github.com/reattach/reattach/gen/model"
)

// goScalar is how Go spells a scalar of protocol buffers.
func goScalar(word string) string {
	switch word {
	case "double":
		return "float64"
	case "float":
		return "float32"
	case "bytes":
		return "[]byte"
	}
	return word
}

// plain reports whether a value of t needs no conversion.
func (f *file) plain(t *model.Type) bool {
	switch t.Shape {
	case model.Bool, model.Int, model.Float, model.Text, model.Bytes:
		return f.spell(t.Go) == goScalar(t.Scalar)
	}
	return false
}

// generic names the function of package contract that converts a scalar.
func (f *file) generic(t *model.Type) string {
	switch t.Shape {
	case model.Bool:
		return "Bool"
	case model.Int:
		return "Integer"
	case model.Float:
		return "Float"
	case model.Text:
		return "Text"
	default:
		return "Bytes"
	}
}

// to writes the expression that converts a value of Go, in a message's field.
func (f *file) to(t *model.Type, value string) string {
	if f.plain(t) {
		return value
	}
	switch t.Shape {
	case model.Bool, model.Int, model.Float, model.Text, model.Bytes:
		return goScalar(t.Scalar) + "(" + value + ")" // every value of Go fits
	case model.List:
		if f.plain(t.Elem) {
			if f.spell(t.Go) == "[]"+goScalar(t.Elem.Scalar) {
				return value
			}
			return "[]" + goScalar(t.Elem.Scalar) + "(" + value + ")"
		}
		return fmt.Sprintf("contract.List(c, %s, %s)", value, f.toFunc(t.Elem))
	case model.Map:
		if f.plain(t.Key) && f.plain(t.Elem) {
			plain := "map[" + goScalar(t.Key.Scalar) + "]" + goScalar(t.Elem.Scalar)
			if f.spell(t.Go) == plain {
				return value
			}
			return plain + "(" + value + ")"
		}
		return fmt.Sprintf("contract.Map(c, %s, %s, %s)", value, f.toFunc(t.Key), f.toFunc(t.Elem))
	case model.Pointer:
		return f.toPointer(t.Elem, value)
	}
	return fmt.Sprintf("%s(c, %s)", f.toFunc(t), value)
}

func (f *file) toPointer(elem *model.Type, value string) string {
	switch elem.Shape {
	case model.Struct, model.Time, model.Duration:
		return fmt.Sprintf("contract.Message(c, %s, %s)", value, f.toFunc(elem))
	case model.AsBinary:
		return fmt.Sprintf("contract.FromBinaryPointer(c, %s)", value)
	}
	return fmt.Sprintf("contract.Pointer(c, %s, %s)", value, f.toFunc(elem))
}

// toFunc names the function that converts a value of Go.
func (f *file) toFunc(t *model.Type) string {
	return f.function(t, direction{"ToWire", "contract.From", "contract.Elem", (*file).toFunc}, goScalar(t.Scalar), f.spell(t.Go))
}

// direction is what the names of functions to a message, or from one, differ in.
type direction struct {
	own     string // what those of the contract end with
	shared  string // what those of package contract begin with
	pointer string
	elem    func(*file, *model.Type) string
}

// function names the function that converts a value; a scalar from one type into another.
func (f *file) function(t *model.Type, d direction, into, from string) string {
	switch {
	case t.Message != nil:
		return convName(t) + d.own
	case f.plain(t):
		return "contract.Same[" + f.spell(t.Go) + "]"
	}
	switch t.Shape {
	case model.Time:
		return d.shared + "Time"
	case model.Duration:
		return d.shared + "Duration[" + f.spell(t.Go) + "]"
	case model.AsText:
		return d.shared + "Text[" + f.spell(t.Go) + "]"
	case model.AsBinary:
		return d.shared + "Binary[" + f.spell(t.Go) + "]"
	case model.Pointer:
		return d.pointer + "(" + d.elem(f, t.Elem) + ")"
	case model.Array:
		return arrayName(t) + d.own
	}
	return fmt.Sprintf("contract.%s[%s, %s]", f.generic(t), into, from)
}

// from writes the expression that converts what a getter of a message gives.
func (f *file) from(t *model.Type, value string) string {
	if f.plain(t) {
		return value
	}
	spelled := f.spell(t.Go)
	switch t.Shape {
	case model.Int:
		if fits(t) {
			return spelled + "(" + value + ")"
		}
		return fmt.Sprintf("contract.Integer[%s](c, %s)", spelled, value)
	case model.Bool, model.Float, model.Text, model.Bytes:
		return spelled + "(" + value + ")"
	case model.List:
		converted := fmt.Sprintf("contract.List(c, %s, %s)", value, f.fromFunc(t.Elem))
		if f.plain(t.Elem) {
			converted = value
		}
		return f.as(t, "[]"+f.spell(t.Elem.Go), converted)
	case model.Map:
		converted := fmt.Sprintf("contract.Map(c, %s, %s, %s)", value, f.fromFunc(t.Key), f.fromFunc(t.Elem))
		if f.plain(t.Key) && f.plain(t.Elem) {
			converted = value
		}
		return f.as(t, "map["+f.spell(t.Key.Go)+"]"+f.spell(t.Elem.Go), converted)
	case model.Pointer:
		return f.fromPointer(t, value)
	}
	return fmt.Sprintf("%s(c, %s)", f.fromFunc(t), value)
}

// as converts an expression of a type without a name to t, if t has one.
func (f *file) as(t *model.Type, spelled, value string) string {
	if own := f.spell(t.Go); own != spelled {
		return own + "(" + value + ")"
	}
	return value
}

// fits reports whether each value of the message's type fits the Go type.
func fits(t *model.Type) bool {
	b, ok := t.Go.Underlying().(*types.Basic)
	return ok && b.Name() == t.Scalar
}

func (f *file) fromPointer(t *model.Type, value string) string {
	switch t.Elem.Shape {
	case model.Struct, model.Time, model.Duration:
		return fmt.Sprintf("contract.Value(c, %s, %s)", value, f.fromFunc(t.Elem))
	case model.AsBinary:
		return fmt.Sprintf("contract.ToBinaryPointer[%s](c, %s)", f.spell(t.Elem.Go), value)
	}
	return fmt.Sprintf("contract.Pointer(c, %s, %s)", value, f.fromFunc(t.Elem))
}

// fromFunc names the function that converts a message's value.
func (f *file) fromFunc(t *model.Type) string {
	return f.function(t, direction{"FromWire", "contract.To", "contract.Point", (*file).fromFunc}, f.spell(t.Go), goScalar(t.Scalar))
}

func convName(t *model.Type) string { return lower(t.Message.Name) }

// arrayName names the functions that make a list of an array.
func arrayName(t *model.Type) string {
	if named, ok := types.Unalias(t.Go).(*types.Named); ok {
		return lower(named.Obj().Name()) + "List"
	}
	return fmt.Sprintf("array%dOf%sList", t.Len, upper(elemName(t.Elem)))
}

func elemName(t *model.Type) string {
	if t.Message != nil {
		return t.Message.Name
	}
	switch u := types.Unalias(t.Go).(type) {
	case *types.Named:
		return u.Obj().Name()
	case *types.Basic:
		return u.Name()
	case *types.Pointer:
		return "PointerTo" + upper(elemName(t.Elem))
	}
	return t.Scalar // bytes
}

// containsConv reports whether an expression uses the Conv of its function.
func containsConv(expression string) bool { return strings.Contains(expression, "(c, ") }
