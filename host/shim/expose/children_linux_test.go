// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// children are the ids of this process's children, those that have ended left out.
func children(t *testing.T) []string {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for _, list := range lists {
		text, _ := os.ReadFile(list) // a thread may have ended
		pids = append(pids, strings.Fields(string(text))...)
	}
	return slices.DeleteFunc(pids, func(pid string) bool {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}
