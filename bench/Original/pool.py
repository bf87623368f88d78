"""A pool of one process: who finds it empty sleeps and looks again, in no order."""
import time
from queue import Empty, Queue

import pymysql
import pymysql.cursors


class QueueEmptyException(Exception):
    """No connection came back while the caller looked."""


class Connection:
    def __init__(self, config):
        # Without autocommit a connection would read what was there at its first read for as long as it lives, and lock
        # the table against every change of it. Set once at the connect, it costs a read nothing.
        self._conn = pymysql.connect(
            host=config.DB_HOST, port=config.DB_PORT, database=config.DB_NAME, user=config.DB_USER,
            password=config.DB_PASS, charset='utf8mb4', cursorclass=pymysql.cursors.DictCursor, autocommit=True)

    def query_all(self, sql, args=None):
        with self._conn.cursor() as cursor:
            cursor.execute(sql, args)
            return cursor.fetchall()


class Pool:
    RETRY_SLEEP = 0.1

    def __init__(self, config):
        self._free = Queue()
        for _ in range(config.DB_POOL_MAX_CONN):
            self._free.put_nowait(Connection(config))

    def get_conn(self, retry=3):
        try:
            return self._free.get_nowait()
        except Empty:
            # The last of the sleeps, too, is paid before the answer: 0.4 s in all with three retries.
            time.sleep(self.RETRY_SLEEP)
        if retry == 0:
            raise QueueEmptyException()
        return self.get_conn(retry - 1)

    def put_conn(self, conn):
        self._free.put_nowait(conn)
