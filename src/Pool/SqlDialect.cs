namespace UPool;

/// <summary>The database family behind a pool, for the few statements that differ between them.</summary>
public enum SqlDialect
{
    /// <summary>MySQL and MariaDB.</summary>
    MySql,

    /// <summary>SQLite, the embedded default of development.</summary>
    Sqlite,
}
