// Command gws is the peer on github.com/lxzan/gws in its default shape: as its
// README has it, a goroutine a connection over net/http.
package main

import (
	"net/http"

	"github.com/lxzan/gws"

	"github.com/colloquyhq/colloquy/bench/peers/peer"
)

type handler struct{ gws.BuiltinEventHandler }

// OnPing implements gws.Event: the built-in one answers without the payload.
func (handler) OnPing(c *gws.Conn, payload []byte) { _ = c.WritePong(payload) }

// OnMessage implements gws.Event.
func (handler) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	answers, err := peer.Answer(m.Bytes())
	if err != nil {
		c.WriteClose(1008, nil)
		return
	}
	for _, a := range answers {
		if c.WriteMessage(gws.OpcodeText, a) != nil {
			return
		}
	}
}

func main() {
	up := gws.NewUpgrader(handler{}, &gws.ServerOption{SubProtocols: []string{"colloquy.v1"}})
	peer.Run(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := up.Upgrade(w, r); err == nil {
			go c.ReadLoop()
		}
	}))
}
