// Room with gorilla/websocket, after the chat example of that library: a hub, and two goroutines for each client.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/gorilla/websocket"
)

type client struct {
	connection *websocket.Conn
	send       chan []byte
}

var (
	upgrader   = websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}
	register   = make(chan *client)
	unregister = make(chan *client)
	broadcast  = make(chan []byte)
)

func hub() {
	clients := make(map[*client]bool)
	remove := func(c *client) {
		if clients[c] {
			delete(clients, c)
			close(c.send)
		}
	}
	for {
		select {
		case c := <-register:
			clients[c] = true
		case c := <-unregister:
			remove(c)
		case message := <-broadcast:
			for c := range clients {
				select {
				case c.send <- message:
				default:
					remove(c)
				}
			}
		}
	}
}

func (c *client) read() {
	defer func() { unregister <- c; c.connection.Close() }()
	for {
		_, message, err := c.connection.ReadMessage()
		if err != nil {
			return
		}
		broadcast <- message
	}
}

func (c *client) write() {
	defer c.connection.Close()
	for message := range c.send {
		if c.connection.WriteMessage(websocket.TextMessage, message) != nil {
			return
		}
	}
}

func main() {
	go hub()
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		connection, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		c := &client{connection, make(chan []byte, 256)}
		register <- c
		go c.write()
		go c.read()
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on ws://%s/\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
