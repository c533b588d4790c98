// SPDX-License-Identifier: MPL-2.0

package old

import "net/rpc"

// Stub is the host's side of every contract.
type Stub struct{ client *rpc.Client }

// Greet calls Plugin.Greet.
func (s *Stub) Greet(name string) (string, error) {
	return s.Call("Plugin.Greet", map[string]interface{}{"name": name})
}

// Hi calls Plugin.Hi.
func (s *Stub) Hi(times int) (string, error) {
	return s.Call("Plugin.Hi", map[string]interface{}{"times": times})
}

// Ping calls Plugin.Ping.
func (s *Stub) Ping() (string, error) {
	return s.Call("Plugin.Ping", map[string]interface{}{})
}

// Call calls any method with any arguments: contracts changed while the demo grew.
func (s *Stub) Call(method string, args map[string]interface{}) (answer string, err error) {
	err = s.client.Call(method, args, &answer)
	return answer, err
}
