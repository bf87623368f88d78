"""The address of the database, and the number of connections per process."""
import os


class Config:
    DB_HOST = os.environ['DB_HOST']
    DB_PORT = int(os.environ.get('DB_PORT', '3306'))
    DB_NAME = os.environ['DB_NAME']
    DB_USER = os.environ['DB_USER']
    DB_PASS = os.environ['DB_PASS']
    DB_POOL_MAX_CONN = int(os.environ.get('DB_POOL_MAX_CONN', '5'))
