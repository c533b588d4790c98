// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type inner struct {
	Inner any `json:"inner,omitempty"`
}

type box struct {
	inner
	Any    any            `json:"any,omitempty"`
	Named  map[string]box `json:"named,omitempty"`
	List   []any          `json:"list,omitempty"`
	Next   *box           `json:"next,omitempty"`
	Number json.Number    `json:"number,omitempty"`
	Wide   uint64         `json:"wide,omitempty"`
}

// loose has parameters that say little about what they take.
type loose interface {
	Anything(v any) (string, any)
	Members(v map[string]any) any
	Boxed(b box) box
	Many(v ...any) []any
}

type looseImpl struct{}

func (looseImpl) Anything(v any) (string, any) { return fmt.Sprintf("%T", v), v }
func (looseImpl) Members(v map[string]any) any { return v }
func (looseImpl) Boxed(b box) box              { return b }
func (looseImpl) Many(v ...any) []any          { return v }

// TestNumbersPassUnchanged holds that a number reaches the method with the value
// that its JSON has, and comes back with it.
func TestNumbersPassUnchanged(t *testing.T) {
	k := NewKind[loose]("loose", nothing{}, WithParams("Members", "v"))
	cases := map[string]struct{ method, args, want, err string }{
		"an integer":      {"Anything", `[5]`, `["int64",5]`, ""},
		"beyond 2^53":     {"Anything", `[9007199254740993]`, `["int64",9007199254740993]`, ""},
		"below":           {"Anything", `[-9223372036854775808]`, `["int64",-9223372036854775808]`, ""},
		"beyond int64":    {"Anything", `[9223372036854775809]`, `["uint64",9223372036854775809]`, ""},
		"the last uint64": {"Anything", `[18446744073709551615]`, `["uint64",18446744073709551615]`, ""},
		"a power of two":  {"Anything", `[36893488147419103232]`, `["float64",36893488147419103000]`, ""},
		"beyond all":      {"Anything", `[18446744073709551617]`, "", "number 18446744073709551617 fits neither"},
		"far beyond":      {"Anything", `[1` + strings.Repeat("0", 5000) + `]`, "", "fits neither"},
		"a fraction":      {"Anything", `[0.1]`, `["float64",0.1]`, ""},
		"an exponent":     {"Anything", `[1e3]`, `["float64",1000]`, ""},
		"minus zero":      {"Anything", `[-0]`, `["float64",-0]`, ""},
		"too large":       {"Anything", `[1e400]`, "", "number 1e400 fits neither"},
		"within":          {"Anything", `[{"a":[9007199254740993,{"b":18446744073709551615}]}]`, `["map[string]interface {}",{"a":[9007199254740993,{"b":18446744073709551615}]}]`, ""},
		"a map":           {"Members", `{"v":{"n":9007199254740993,"s":"1","z":null}}`, `{"n":9007199254740993,"s":"1","z":null}`, ""},
		"a struct":        {"Boxed", `[{"any":9007199254740993,"named":{"x":{"any":9007199254740995}},"list":[9007199254740997],"next":{"any":{"y":9007199254740999}},"number":1e400,"wide":18446744073709551615,"inner":9007199254740993}]`, `{"inner":9007199254740993,"any":9007199254740993,"named":{"x":{"any":9007199254740995}},"list":[9007199254740997],"next":{"any":{"y":9007199254740999}},"number":1e400,"wide":18446744073709551615}`, ""},
		"variadic":        {"Many", `[[9007199254740993,"x",0.5]]`, `[9007199254740993,"x",0.5]`, ""},
		"twice":           {"Anything", `[{"a":1,"b":{"c":1,"c":2}}]`, "", `"c" is given twice`},
		"twice, escaped":  {"Anything", `[{"a":":","\u0061" : 2}]`, "", `"a" is given twice`},
		"names as values": {"Anything", `[{"a":"a\"","b" : ["a","a",{"a":"\\"}]}]`, `["map[string]interface {}",{"a":"a\"","b":["a","a",{"a":"\\"}]}]`, ""},
		"argument twice":  {"Members", `{"v":{},"v":{"a":1}}`, "", `"v" is given twice`},
		"beside, not twice": {"Anything", `[[{"a":"a"},{"a":["a","a"]}]]`,
			`["[]interface {}",[{"a":"a"},{"a":["a","a"]}]]`, ""},
		"too deep":       {"Anything", `[` + strings.Repeat(`{"a":[`, 150_000) + strings.Repeat(`]}`, 150_000) + `]`, "", "exceeded max depth"},
		"no UTF-8":       {"Anything", "[\"a\xff\"]", "", "not valid UTF-8"},
		"half a pair":    {"Anything", `["\ud83d"]`, "", `\ud83d is half a character`},
		"the other half": {"Anything", `["\ude00\ud83d"]`, "", `\ude00 is half a character`},
		"a whole pair":   {"Anything", `["\ud83d\ude00 \\ud83d"]`, `["string","😀 \\ud83d"]`, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := k.methods[tc.method]
			var got json.RawMessage
			args, err := m.arguments(json.RawMessage(tc.args))
			if err == nil {
				got, err = m.invoke(t.Context(), looseImpl{}, args)
			}
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %s, %v; want error %q", got, err, tc.err)
				}
				return
			}
			if diff := cmp.Diff(tc.want, string(got)); err != nil || diff != "" {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
		})
	}
}

// TestArgumentsBeyondTheMethods: what a caller sends beyond the parameters is not kept,
// however much it is.
func TestArgumentsBeyondTheMethods(t *testing.T) {
	k := NewKind[loose]("loose", nothing{}, WithParams("Members", "v"))
	for name, raw := range map[string]string{
		"elements": "[1" + strings.Repeat(",1", 1<<19) + "]",
		"lists":    "[[]" + strings.Repeat(",[]", 1<<18) + "]",
		"members":  `{"v":{},"a":1` + strings.Repeat(`,"a":1`, 1<<17) + "}",
		"depth":    strings.Repeat("[", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			allocations := testing.AllocsPerRun(1, func() {
				if _, err := k.methods["Members"].arguments(json.RawMessage(raw)); err == nil {
					t.Error("it was taken")
				}
			})
			if allocations > 200 {
				t.Errorf("%.0f allocations", allocations)
			}
		})
	}
}

// FuzzArguments holds that arguments of any JSON are taken as they are, or refused.
func FuzzArguments(f *testing.F) {
	for _, seed := range []string{`[9007199254740993]`, `[{"a":[1e5,-0,"\ud800"]}]`, `{"v":1}`, `[[[]]]`, `["\u202e"]`} {
		f.Add(seed)
	}
	k := NewKind[loose]("loose", nothing{}, WithParams("Anything", "v"))
	m := k.methods["Anything"]
	f.Fuzz(func(t *testing.T, raw string) {
		args, err := m.arguments(json.RawMessage(raw))
		if err != nil {
			return
		}
		once, err := json.Marshal([]any{args[0].Interface()})
		if err != nil {
			t.Fatal(err)
		}
		again, err := m.arguments(once)
		if err != nil {
			t.Fatalf("%s became %s: %v", raw, once, err)
		}
		if twice, _ := json.Marshal([]any{again[0].Interface()}); string(twice) != string(once) {
			t.Fatalf("%s became %s and %s", raw, once, twice)
		}
	})
}
