// Command gorilla is the peer on github.com/gorilla/websocket, as its examples
// use it: a goroutine a connection, the library's own ping handler.
package main

import (
	"net/http"

	"github.com/gorilla/websocket"

	"github.com/colloquyhq/colloquy/bench/peers/peer"
)

func main() {
	up := websocket.Upgrader{Subprotocols: []string{"colloquy.v1"}, CheckOrigin: func(*http.Request) bool { return true }}
	peer.Run(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		c.SetReadLimit(32 << 10)
		for {
			_, frame, err := c.ReadMessage()
			if err != nil {
				return
			}
			answers, err := peer.Answer(frame)
			if err != nil {
				return
			}
			for _, a := range answers {
				if c.WriteMessage(websocket.TextMessage, a) != nil {
					return
				}
			}
		}
	}))
}
