// SPDX-License-Identifier: MPL-2.0

package evolve

import (
	"fmt"
	"go/types"
	"math/rand/v2"
	"testing"

	"github.com/reattach/reattach/gen/model"
)

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
		now := Number(c, old)
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
		if changes := Compare(now, Number(c, now)); len(changes) > 0 {
			t.Fatalf("what has not changed has: %v", changes)
		}
		if old != nil && len(Compare(old, now)) == 0 && len(live(old.Services[0].Methods[0].Params)) != len(params) {
			t.Fatal("a change was not seen")
		}
		old = now
	}
}
