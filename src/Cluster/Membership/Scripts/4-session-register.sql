-- Which session of the server belongs to which life of which process (INV-2). In memory, because a server that restarts
-- has no old sessions: the register is then empty, and that is the truth. Rows of a MEMORY table have their full width,
-- so the texts are ASCII; at the server's default of 16 MB some 30,000 sessions fit.
CREATE TABLE IF NOT EXISTS upool_session
(
    ConnectionId BIGINT UNSIGNED NOT NULL, -- CONNECTION_ID(), as the process list shows it
    Host         VARCHAR(261)    NOT NULL, -- host and port, as the process list shows them; ids are used again
    Incarnation  VARCHAR(128)    NOT NULL, -- one life of one process
    Created      DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (ConnectionId),
    KEY upool_session_incarnation (Incarnation)
)
ENGINE = MEMORY DEFAULT CHARACTER SET ascii COLLATE ascii_bin;
