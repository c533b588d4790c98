// SPDX-License-Identifier: MPL-2.0

package evolve

import (
	"fmt"
	"go/token"
	"go/types"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/reattach/reattach/gen/model"
)

// numbered is Number for a contract that has few values.
func numbered(t *testing.T, c *model.Contract, old *Record) *Record {
	t.Helper()
	r, err := Number(c, old)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestNumbersEnd holds that no value gets a number that says something else of it, and that
// the method which has too many is named.
func TestNumbersEnd(t *testing.T) {
	text := &model.Type{Shape: model.Text, Scalar: "string", Go: types.Typ[types.String]}
	for name, tc := range map[string]struct {
		field model.Field
		takes int
		more  string // what is said of one more
	}{
		"required": {model.Field{Type: text}, 998, "a.go:7: M: parameters: p998 would be number 999"},
		"nilable":  {model.Field{Type: &model.Type{Shape: model.Pointer, Elem: text, Go: types.NewPointer(text.Go)}}, 999, "a.go:7: M: parameters: p999 would be number 2000"},
		"optional": {model.Field{Type: text, Optional: true}, 3000, "<nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &model.Method{Name: "M", Pos: token.Position{Filename: "a.go", Line: 7}}
			c := &model.Contract{Services: []*model.Service{{Name: "S", Methods: []*model.Method{m}}}}
			more := func(n int) {
				for range n {
					f := tc.field
					f.Name = fmt.Sprint("p", len(m.Params))
					m.Params = append(m.Params, &f)
				}
			}
			more(tc.takes)
			old := numbered(t, c, nil)
			more(1)
			if _, err := Number(c, old); !strings.HasPrefix(fmt.Sprint(err), tc.more) {
				t.Errorf("got %v, want %s", err, tc.more)
			}
		})
	}
}

// TestManyFields holds that the fields of a struct are of one sort, however many they are.
func TestManyFields(t *testing.T) {
	m := &model.Message{Name: "T"}
	for i := range 2500 {
		m.Fields = append(m.Fields, &model.Field{Name: fmt.Sprint("F", i), Type: &model.Type{Shape: model.Text, Scalar: "string", Go: types.Typ[types.String]}})
	}
	c := &model.Contract{Messages: []*model.Message{m}}
	old := numbered(t, c, nil)
	for _, f := range m.Fields {
		f.Number = 0
	}
	slices.Reverse(m.Fields)
	if changes := Compare(old, numbered(t, c, old)); len(changes) > 0 {
		t.Errorf("in another order: %v", changes)
	}
}

// TestNumbersStay changes a method at random, many times over: a number never stands for
// another value than before, what did not change keeps its own, and the record of it can be
// read again.
func TestNumbersStay(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	shapes := []*model.Type{
		{Shape: model.Text, Scalar: "string", Go: types.Typ[types.String]},
		{Shape: model.Int, Scalar: "int64", Go: types.Typ[types.Int]},
		{Shape: model.List, Go: types.NewSlice(types.Typ[types.Bool]), Elem: &model.Type{Shape: model.Bool, Scalar: "bool", Go: types.Typ[types.Bool]}},
	}
	var old *Record
	ever := make(map[int]string) // what a number has stood for
	for range 500 {
		var params []*model.Field
		for i := range 6 {
			if r.IntN(3) > 0 {
				params = append(params, &model.Field{Name: fmt.Sprint("p", i), Type: shapes[r.IntN(len(shapes))], Optional: r.IntN(4) == 0})
			}
		}
		r.Shuffle(len(params), func(i, j int) { params[i], params[j] = params[j], params[i] })
		c := &model.Contract{Name: "a", Wire: "a", Version: 1, Services: []*model.Service{{Name: "S", Methods: []*model.Method{{Name: "M", Params: params}}}}}
		now := numbered(t, c, old)
		seen := make(map[int]bool)
		for _, v := range now.Services[0].Methods[0].Params {
			if seen[v.Number] {
				t.Fatalf("number %d is given twice: %v", v.Number, now.Services[0].Methods[0].Params)
			}
			seen[v.Number] = true
			what := v.Name + " " + v.Wire
			if before, ok := ever[v.Number]; ok && before != what {
				t.Fatalf("number %d was %q, and is %q", v.Number, before, what)
			}
			ever[v.Number] = what
		}
		if changes := Compare(now, numbered(t, c, now)); len(changes) > 0 {
			t.Fatalf("what has not changed has: %v", changes)
		}
		if old != nil && len(Compare(old, now)) == 0 && len(live(old.Services[0].Methods[0].Params)) != len(params) {
			t.Fatal("a change was not seen")
		}
		old = now
	}
}
