// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Recycle says when a child is replaced, as soon as it runs no call: after so many calls,
// so much time, or when it has grown to so many bytes in memory. Zero fields never are a
// reason.
type Recycle struct {
	Calls  uint64
	Age    time.Duration
	Memory int64 // resident, in bytes; Linux
}

// ParseRecycle reads a number of calls (1000), a duration (24h), or a size (512MiB).
// Several are separated by commas, and the first that comes true counts.
func ParseRecycle(text string) (r Recycle, err error) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		if err := r.add(part); err != nil {
			return Recycle{}, err
		}
	}
	return r, nil
}

// units are those of sizes.
var units = [...]struct {
	name string
	size int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}

func (r *Recycle) add(text string) error {
	if n, err := strconv.ParseUint(text, 10, 63); err == nil && n > 0 {
		return once(&r.Calls, n, text, "number of calls")
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return once(&r.Age, d, text, "duration")
	}
	for _, unit := range units {
		digits, ok := strings.CutSuffix(text, unit.name)
		if n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 32); ok && err == nil && n > 0 {
			return once(&r.Memory, n*unit.size, text, "size")
		}
	}
	return fmt.Errorf("%q: want a number of calls such as 1000, a duration such as 24h, or a size such as 512MiB", text)
}

// once sets a field that was not set before.
func once[T comparable](field *T, value T, text, what string) error {
	var none T
	if *field != none {
		return fmt.Errorf("%q is a second %s: name one", text, what)
	}
	*field = value
	return nil
}

func (r Recycle) isZero() bool { return r == Recycle{} }

// due says why a child is to be replaced that has begun so many calls and is of that age;
// empty: it is not.
func (r Recycle) due(calls uint64, age time.Duration, pid string) string {
	switch {
	case r.Calls > 0 && calls >= r.Calls:
		return fmt.Sprintf("it has run %d calls", calls)
	case r.Age > 0 && age >= r.Age:
		return fmt.Sprintf("it is %v old", age.Round(time.Second))
	case r.Memory > 0:
		if size := residentSize(pid); size >= r.Memory {
			return fmt.Sprintf("it has %d MiB in memory", size>>20)
		}
	}
	return ""
}

// residentSize is how many bytes a process has in memory; zero: nobody knows.
func residentSize(pid string) int64 {
	text, err := os.ReadFile("/proc/" + pid + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
