"""A pool of one process. A caller that finds it empty sleeps and tries again; callers are not queued."""
import time
from queue import Empty, Queue

import pymysql
import pymysql.cursors


class QueueEmptyException(Exception):
    """No connection was returned while the caller retried."""


class Connection:
    def __init__(self, config):
        # Without autocommit a connection would always read the snapshot of its first read, and its metadata lock would
        # block every ALTER of the table. Set once at connect, it costs nothing per read.
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
            # The sleep also precedes the final exception: 0.4 s in all with three retries.
            time.sleep(self.RETRY_SLEEP)
        if retry == 0:
            raise QueueEmptyException()
        return self.get_conn(retry - 1)

    def put_conn(self, conn):
        self._free.put_nowait(conn)
