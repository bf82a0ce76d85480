// Command coder is the peer on github.com/coder/websocket with its defaults.
package main

import (
	"net/http"

	"github.com/coder/websocket"

	"github.com/colloquyhq/colloquy/bench/peers/peer"
)

func main() {
	peer.Run(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"colloquy.v1"}, InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		for {
			_, frame, err := c.Read(r.Context())
			if err != nil {
				return
			}
			answers, err := peer.Answer(frame)
			if err != nil {
				return
			}
			for _, a := range answers {
				if c.Write(r.Context(), websocket.MessageText, a) != nil {
					return
				}
			}
		}
	}))
}
