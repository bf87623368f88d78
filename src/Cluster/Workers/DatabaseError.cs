namespace UPool.Cluster.Workers;

/// <summary>Reads the number of a database's error without knowing its driver.</summary>
public static class DatabaseError
{
    // MySqlConnector documents this entry; DbException itself has no property for a server's number.
    private const string NumberKey = "Server Error Code";

    /// <summary>The server's number of an error, or of the first of its causes that has one; 0 if none has.</summary>
    public static int NumberOf(Exception? exception)
    {
        for (; exception is not null; exception = exception.InnerException)
        {
            if (exception.Data[NumberKey] is int number and not 0) return number;
        }

        return 0;
    }
}
