// SPDX-License-Identifier: MPL-2.0

package visit

import (
	"strings"
	"testing"
)

func TestKindOfAnotherType(t *testing.T) {
	kind := NewKind("speaker", nil, func(s interface{ Speak() }) []Call { return nil })
	_, err := kind.calls(7)
	if got := errorText(err); !strings.Contains(got, "speaker") || !strings.Contains(got, "int") {
		t.Errorf("got %q, want an error that names the kind and what came", got)
	}
}

func TestPlaces(t *testing.T) {
	for _, tc := range []struct{ got, want Place }{
		{ChildAt("/plugins/greeter-zh.po"), Place{"greeter-zh", Child, "/plugins/greeter-zh.po"}},
		{NetworkAt("pluginzh:7000"), Place{"pluginzh:7000", Network, "pluginzh:7000"}},
	} {
		if tc.got != tc.want {
			t.Errorf("got %+v, want %+v", tc.got, tc.want)
		}
	}
}
