// SPDX-License-Identifier: MPL-2.0

package shape

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// metricMakers are the ways in which the code makes metrics: the name, and the labels
// where there are any.
var metricMakers = regexp.MustCompile(`(?:prometheus\.New(Counter|Gauge|Histogram)(?:Vec|Func)\(prometheus\.\w+Opts\{\s*Namespace: "reattach", Name: "(\w+)"[^}]*(?:\}[^}]*)?\}[^\n]*|(counter|desc)\("(\w+)", "[^"]*"(,\s*"[^)]*)?\)|# TYPE reattach_(\w+) (\w+))`)

// TestMetricsAreDocumented holds docs/metrics.md against the code, in both directions:
// names, types and labels.
func TestMetricsAreDocumented(t *testing.T) {
	documented := make(map[string]string)
	row := regexp.MustCompile("(?m)^\\| `reattach_(\\w+)` \\| (\\w+) \\|([^|]*)\\|")
	for _, m := range row.FindAllStringSubmatch(read(t, "docs/metrics.md"), -1) {
		documented[m[1]] = m[2] + " " + labels(m[3], "`")
	}
	if diff := cmp.Diff(documented, metricsOfTheCode(t)); diff != "" {
		t.Errorf("docs/metrics.md has what the code has not (-), and the other way round (+):\n%s", diff)
	}
}

func metricsOfTheCode(t *testing.T) map[string]string {
	t.Helper()
	made := make(map[string]string)
	for _, top := range []string{"host", "forks/go-plugin"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			found := metricMakers.FindAllStringSubmatch(string(text), -1)
			for _, m := range found {
				switch {
				case m[2] != "":
					list := regexp.MustCompile(`\[\]string\{([^}]*)\}`).FindStringSubmatch(m[0])
					made[m[2]] = strings.ToLower(m[1]) + " " + labels(strings.Join(list[min(1, len(list)):], ""), `"`)
				case m[3] == "counter", strings.HasSuffix(m[4], "_total"):
					made[m[4]] = "counter " + labels(m[5], `"`)
				case m[3] == "desc":
					made[m[4]] = "gauge " + labels(m[5], `"`)
				default:
					made[m[6]] = m[7] + " "
				}
			}
			// Somebody who makes a metric in another way must teach this test.
			makes := regexp.MustCompile(`prometheus\.(New(Counter|Gauge|Histogram|Summary|Untyped|Desc)|MustNewConst)`).Match(text)
			if makes && len(found) == 0 {
				t.Errorf("%s makes a metric that this test does not see", path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return made
}

// labels gives the names between quotes, sorted.
func labels(text, quote string) string {
	var names []string
	for _, m := range regexp.MustCompile(quote+`(\w+)`+quote).FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
