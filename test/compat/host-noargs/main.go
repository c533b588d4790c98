// SPDX-License-Identifier: MPL-2.0

// Command host-noargs is a host on the other side of two changes of the contract: it
// is older than the argument of Hi, and so new that Greet has lost its own.
package main

import (
	"log"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/compat/old"
)

func main() {
	old.Host(1, func(c plugin.ClientProtocol) {
		raw, err := c.Dispense("greeter")
		if err != nil {
			log.Fatal(err)
		}
		stub := raw.(*old.Stub)
		old.Say(stub.Call("Plugin.Hi", map[string]interface{}{}))
		old.Say(stub.Call("Plugin.Greet", map[string]interface{}{}))
		old.Say(stub.Call("Plugin.Greet", map[string]interface{}{"name": "default?"}))
	})
}
