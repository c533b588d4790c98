// SPDX-License-Identifier: MPL-2.0

package child

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"strings"

	"github.com/hashicorp/go-plugin/internal/env"
)

// helloToken is the value of PLUGIN_HELLO beside these other variables. It is made of
// those whose answers stand in the line before the one to PLUGIN_HELLO, and that a host
// may misread. A host of another library hands PLUGIN_HELLO on to its own children, and
// sets its own values of the others: then the token does not fit any more.
func helloToken(vars []string) string {
	sum := sha256.New()
	for _, name := range []string{env.ClientCert, env.MultiplexGRPC} {
		value := ""
		for _, entry := range vars {
			if rest, ok := strings.CutPrefix(entry, name+"="); ok {
				value = rest
			}
		}
		_, _ = io.WriteString(sum, value+"\x00")
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// TakeHello reports whether the host that has started this process can shake hands on
// the connection, and keeps that from what this process starts itself.
func TakeHello() bool {
	asked := os.Getenv(env.Hello)
	_ = os.Unsetenv(env.Hello) // It fails only for what is no name.
	return asked != "" && asked == helloToken(os.Environ())
}
