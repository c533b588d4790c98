// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"fmt"
	"strings"
	"testing"
)

// TestUnknownPluginError holds that an error, which there is one of for each call, does not
// grow with the number of plugins.
func TestUnknownPluginError(t *testing.T) {
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("plugin-%03d", i))
	}
	for _, tc := range []struct {
		known []string
		want  string
	}{
		{nil, `plugin "x" is unknown: none is known`},
		{names[:1], `plugin "x" is unknown: known are plugin-000`},
		{names[:10], `plugin "x" is unknown: known are ` + strings.Join(names[:10], ", ")},
		{names, `plugin "x" is unknown: known are ` + strings.Join(names[:10], ", ") + ", and 990 more"},
	} {
		if got := (&UnknownPluginError{Plugin: "x", Known: tc.known}).Error(); got != tc.want {
			t.Errorf("%d names: %q, want %q", len(tc.known), got, tc.want)
		}
	}
}
