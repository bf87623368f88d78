"""The service as the original uPool had it, and beside its list the one user that is measured too."""
from flask import Flask, jsonify

from config import Config
from pool import Pool, QueueEmptyException

app = Flask(__name__)
# Made when a worker loads this file, which lazy-apps puts after the fork: a pool in each process.
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
