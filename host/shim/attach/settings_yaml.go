// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// setFields sets the fields of a struct that node, a mapping, names by their tags. Each
// error names the line and the field. within is empty, or the field that the mapping is of,
// with a point.
func setFields(node *yaml.Node, within string, to reflect.Value) error {
	var errs []error
	lines := make(map[string]int)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		field, known := fieldOf(to, key.Value)
		switch at, twice := lines[key.Value]; {
		case !known:
			errs = append(errs, fmt.Errorf("line %d: there is no field %s%s", key.Line, within, key.Value))
		case twice:
			errs = append(errs, fmt.Errorf("line %d: %s%s is there already, in line %d", key.Line, within, key.Value, at))
		default:
			errs = append(errs, setField(value, within+key.Value, field))
		}
		lines[key.Value] = key.Line
	}
	return errors.Join(errs...)
}

// setField sets the field of a name.
func setField(value *yaml.Node, name string, field reflect.Value) error {
	if field.Kind() == reflect.Struct {
		switch value.Kind {
		case yaml.MappingNode:
			return setFields(value, name+".", field)
		case yaml.AliasNode:
			return setField(value.Alias, name, field)
		}
		if value.Tag == "!!null" {
			return nil
		}
	} else if value.Decode(field.Addr().Interface()) == nil {
		return nil
	}
	return fmt.Errorf("line %d: %s: want %s%s", value.Line, name, wanted(field.Type()), inPlaceOf(misfit(value, field.Type())))
}

// fieldOf finds the field of a struct by its tag.
func fieldOf(of reflect.Value, name string) (field reflect.Value, known bool) {
	for i := range of.NumField() {
		if of.Type().Field(i).Tag.Get("yaml") == name {
			return of.Field(i), true
		}
	}
	return field, false
}

// wanted says what a field of a type takes.
func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "a time with its unit, such as 30s"
	case reflect.TypeFor[[]int]():
		return "a list of numbers, such as [5, 6]"
	case reflect.TypeFor[[]string]():
		return "a list, such as [Configure]"
	}
	if t.Kind() == reflect.Struct {
		return "fields of its own"
	}
	return "a text"
}

// misfit is what of a value does not fit into a field of a type: of a list for a list, one of
// its elements.
func misfit(value *yaml.Node, t reflect.Type) *yaml.Node {
	if value.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice {
		for _, element := range value.Content {
			if element.Decode(reflect.New(t.Elem()).Interface()) != nil {
				return element
			}
		}
	}
	return value
}

// maxShown is how much of a value an error repeats, in bytes.
const maxShown = 40

// inPlaceOf repeats a value that is on one line.
func inPlaceOf(value *yaml.Node) string {
	switch {
	case value.Kind == yaml.SequenceNode:
		return ", not a list"
	case value.Kind == yaml.MappingNode:
		return ", not fields"
	case value.Kind != yaml.ScalarNode || len(value.Value) > maxShown || strings.Contains(value.Value, "\n"):
		return ""
	}
	return fmt.Sprintf(", not %q", value.Value)
}
