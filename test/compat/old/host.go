// SPDX-License-Identifier: MPL-2.0

package old

import (
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

// Host is the demo's host: it loads PLUGIN_DIR/*.po and NETWORK_PLUGIN, gives the
// client of each to use, and ends.
func Host(version uint, use func(plugin.ClientProtocol)) {
	logger := hclog.New(&hclog.LoggerOptions{Name: "plugin", Output: os.Stderr, Level: hclog.Info})
	for _, client := range load(version, logger) {
		rpcClient, err := client.Client()
		if err != nil {
			log.Fatal(err)
		}
		use(rpcClient)
		// The demo's last word: the host should not kill plugins of the network.
		if os.Getenv("NETWORK_PLUGIN") == "" || os.Getenv("KILL") != "" {
			client.Kill()
		}
	}
}

func load(version uint, logger hclog.Logger) []*plugin.Client {
	var clients []*plugin.Client
	config := func() *plugin.ClientConfig {
		return &plugin.ClientConfig{
			HandshakeConfig: Handshake(version),
			Plugins: map[string]plugin.Plugin{
				"greeter":    &GreeterPlugin{},
				"pingponger": &PingPongerPlugin{},
			},
			Logger: logger,
		}
	}
	if address := os.Getenv("NETWORK_PLUGIN"); address != "" {
		addr, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			log.Fatal(err)
		}
		c := config()
		c.Reattach = &plugin.ReattachConfig{Protocol: plugin.ProtocolNetRPC, Addr: addr}
		return append(clients, plugin.NewClient(c))
	}
	found, err := plugin.Discover("*.po", os.Getenv("PLUGIN_DIR"))
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range found {
		c := config()
		c.Cmd = exec.Command(f)
		clients = append(clients, plugin.NewClient(c))
	}
	return clients
}

// Say prints an answer and an error, as fmt.Println(greeter.Greet("someone")) did.
func Say(answer string, err error) {
	if err != nil {
		fmt.Println(answer, err)
		return
	}
	fmt.Println(answer)
}

// Greeting is what the demo's host does with one client.
func Greeting(c plugin.ClientProtocol) {
	raw, err := c.Dispense("greeter")
	if err != nil {
		log.Fatal(err)
	}
	Say(raw.(Greeter).Greet("someone"))
	Say(raw.(Greeter).Hi(2))
	fmt.Println("Will try pingponger...")
	if raw, err = c.Dispense("pingponger"); err != nil {
		fmt.Println("err", err)
		return
	}
	Say(raw.(PingPonger).Ping())
}
