// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// cookieFlag is a magic cookie, which is given at most once. It implements pflag.Value.
type cookieFlag struct {
	text  *string
	given bool
}

// Set implements pflag.Value.
func (f *cookieFlag) Set(text string) error {
	if f.given {
		return errors.New("it is given twice, and a plugin has one cookie")
	}
	f.given = true
	if key, value, _ := strings.Cut(text, "="); key == "" || value == "" {
		return errors.New("want KEY=VALUE")
	}
	*f.text = text
	return nil
}

// String implements pflag.Value.
func (f *cookieFlag) String() string {
	if f.text == nil {
		return ""
	}
	return *f.text
}

// Type implements pflag.Value.
func (*cookieFlag) Type() string { return "string" }

// versionsFlag is a list of app versions. It implements pflag.Value.
type versionsFlag []int

// Set implements pflag.Value.
func (f *versionsFlag) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		v, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || v < 0 {
			return errors.New("want versions such as 5,6")
		}
		*f = append(*f, v)
	}
	return nil
}

// String implements pflag.Value.
func (f *versionsFlag) String() string {
	if len(*f) == 0 {
		return ""
	}
	return strings.Trim(fmt.Sprint(*f), "[]")
}

// Type implements pflag.Value.
func (*versionsFlag) Type() string { return "ints" }
