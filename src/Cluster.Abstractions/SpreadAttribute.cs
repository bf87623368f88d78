using Orleans.CodeGeneration;

namespace UPool.Cluster;

/// <summary>
/// Marks a method of a worker's interface whose calls spread over all silos, new ones included. Without it Orleans
/// sends all calls of one client to one key through one sticky gateway, and so to one silo.
/// </summary>
[InvokableCustomInitializer("AddInvokeMethodOptions", InvokeMethodOptions.Unordered)]
[AttributeUsage(AttributeTargets.Method)]
public sealed class SpreadAttribute : Attribute;
