package main

import (
	"net/http"

	"github.com/gorilla/websocket"
)

// Echoes with gorilla/websocket, after the echo example of that library.
func handler(deflate bool) http.HandlerFunc {
	upgrader := websocket.Upgrader{EnableCompression: deflate}
	return func(w http.ResponseWriter, r *http.Request) {
		connection, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer connection.Close()
		connection.SetReadLimit(maxMessage)
		for {
			kind, message, err := connection.ReadMessage()
			if err != nil {
				return
			}
			if err := connection.WriteMessage(kind, message); err != nil {
				return
			}
		}
	}
}
