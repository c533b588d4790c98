// SPDX-License-Identifier: MPL-2.0

//go:build unix

package cmdrunner

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// owner compares the file's owner with this process's.
func owner(info os.FileInfo) []string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return []string{
		fmt.Sprintf("owner: %s; this process runs as %s", userName(int(stat.Uid)), userName(os.Geteuid())),
		fmt.Sprintf("group: %s; this process runs as %s", groupName(int(stat.Gid)), groupName(os.Getegid())),
	}
}

// userName returns "1000 (name)", or the number alone in an image without that user.
func userName(id int) string {
	text := strconv.Itoa(id)
	if known, err := user.LookupId(text); err == nil {
		text += " (" + known.Username + ")"
	}
	return text
}

func groupName(id int) string {
	text := strconv.Itoa(id)
	if known, err := user.LookupGroupId(text); err == nil {
		text += " (" + known.Name + ")"
	}
	return text
}
