"""The service of the original uPool, plus the route for one user, which is measured too."""
from flask import Flask, jsonify

from config import Config
from pool import Pool, QueueEmptyException

app = Flask(__name__)
# Created when a worker loads this file; with lazy-apps that is after the fork, so each process has its own pool.
pool = Pool(Config)


def query(sql, args=None):
    conn = pool.get_conn(retry=3)
    try:
        return conn.query_all(sql, args)
    finally:
        pool.put_conn(conn)


def answer(sql, args, data_of):
    try:
        rows = query(sql, args)
    except QueueEmptyException:
        return jsonify(code=0, msg='queue empty')
    except Exception:
        return jsonify(code=0, msg='error')
    return jsonify(code=1, msg='ok', data=data_of(rows)) if rows else jsonify(code=0, msg='not found')


@app.route('/')
def root():
    return jsonify(code=1, msg='API is running')


@app.route('/user/list')
def user_list():
    return answer('SELECT `id`,`name` FROM `tb1`', None, lambda rows: rows)


@app.route('/user/<int:user_id>')
def user(user_id):
    return answer('SELECT `id`,`name` FROM `tb1` WHERE `id` = %s', (user_id,), lambda rows: rows[0])
