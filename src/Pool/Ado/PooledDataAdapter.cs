using System.Data.Common;

namespace UPool;

/// <summary>Fills data sets from a pool and writes their changes; synchronously, like all ADO.NET adapters.</summary>
internal sealed class PooledDataAdapter : DbDataAdapter
{
    /// <summary>A row is about to be written.</summary>
    public event EventHandler<RowUpdatingEventArgs>? RowUpdating;

    protected override void OnRowUpdating(RowUpdatingEventArgs value) => RowUpdating?.Invoke(this, value);
}
